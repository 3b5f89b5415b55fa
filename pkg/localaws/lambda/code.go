package lambda

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"slices"
)

// receive returns the zip in a call, or fetches it from S3.
func (s *Server) receive(ctx context.Context, in codeInput) ([]byte, error) {
	data := in.ZipFile
	if data == nil && in.S3Key != "" {
		if s.deps.FetchS3 == nil {
			return nil, invalid("Code in S3 is not supported by this endpoint.")
		}
		var err error
		if data, err = s.deps.FetchS3(ctx, in.S3Bucket, in.S3Key); err != nil {
			return nil, invalid("Error occurred while GetObject. S3 Error Code: NoSuchKey. S3 Error Message: %v", err)
		}
	} else if int64(len(data)) > maxDirectZip {
		return nil, tooLarge(maxDirectZip, "CreateFunction")
	}
	if len(data) == 0 {
		return nil, invalid("Please provide a source for function code.")
	}
	return data, nil
}

// keep stores a zip. Until unpin is called, the zip stays, even if the last
// function or layer with the same contents is deleted.
func (s *Server) keep(data []byte) (b blob, unpin func(), err error) {
	b = blobOf(data)
	s.mu.Lock()
	if s.storedBytes()+b.Size > s.cfg.CodeStorage {
		s.mu.Unlock()
		return b, nil, &apiError{status: 400, typ: "CodeStorageExceededException", text: "Code storage limit exceeded."}
	}
	s.pins[b.SHA]++
	s.mu.Unlock()
	unpin = func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.pins[b.SHA]--; s.pins[b.SHA] == 0 {
			delete(s.pins, b.SHA)
			s.removeUnused(b)
		}
	}
	if err := s.files.keep(&b, data); err != nil {
		unpin()
		return b, nil, err
	}
	return b, unpin, nil
}

// maxDirectZip is the largest zip in a call itself.
const maxDirectZip = 50 << 20

// removeUnused removes a zip that no function or layer uses. The caller holds
// s.mu.
func (s *Server) removeUnused(b blob) {
	if s.pins[b.SHA] > 0 {
		return
	}
	for _, f := range s.functions {
		if f.Code.SHA == b.SHA || slices.ContainsFunc(f.Layers, func(l attached) bool { return l.SHA == b.SHA }) {
			return
		}
	}
	for _, l := range s.layers {
		if slices.ContainsFunc(l.Versions, func(v *version) bool { return v.Content.SHA == b.SHA }) {
			return
		}
	}
	s.files.remove(b)
}

// storedBytes is the size of all zips. The caller holds s.mu.
func (s *Server) storedBytes() (n int64) {
	for _, f := range s.functions {
		n += f.Code.Size
	}
	for _, l := range s.layers {
		for _, v := range l.Versions {
			n += v.Content.Size
		}
	}
	return n
}

// base64SHA is the digest in Lambda's notation.
func (b blob) base64SHA() string {
	raw, _ := hex.DecodeString(b.SHA)
	return base64.StdEncoding.EncodeToString(raw)
}
