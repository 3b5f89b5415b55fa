package auth

import (
	"bytes"
	"errors"
	"io"
	"net/http"
)

// whole is the body of a request that was read for its signature.
type whole struct {
	*bytes.Reader
	content []byte
}

func (*whole) Close() error { return nil }

// ErrTooLarge is the error of Body for a body that is larger than allowed.
var ErrTooLarge = errors.New("the body is too large")

// Body reads the body of a verified request, of which nothing was read: a body
// of more than limit bytes fails with ErrTooLarge. The caller must not change it.
func Body(r *http.Request, limit int64) ([]byte, error) {
	if r.ContentLength > limit {
		return nil, ErrTooLarge
	}
	var content []byte
	var err error
	if read, ok := r.Body.(*whole); ok {
		content = read.content
	} else if content, err = readAll(r, limit); err != nil {
		return nil, err
	}
	if int64(len(content)) > limit {
		return nil, ErrTooLarge
	}
	return content, nil
}

// maxAhead bounds the room that is made for a body before it comes, since its
// length is only promised.
const maxAhead = 64 << 10

// readAll reads limit + 1 bytes at most.
func readAll(r *http.Request, limit int64) ([]byte, error) {
	var content bytes.Buffer
	content.Grow(int(min(max(0, r.ContentLength), maxAhead)) + bytes.MinRead) // the last read, which finds the end, needs room too
	_, err := content.ReadFrom(io.LimitReader(r.Body, limit+1))
	return content.Bytes(), err
}
