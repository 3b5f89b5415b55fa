// Package s3registry keeps scripts in an S3 bucket:
//
//	<prefix>/<tenant>/<id>/entry.json           the entry, replaced with each change
//	<prefix>/<tenant>/<id>/versions/<version>   a version's content, written once
//
// with ~ for each slash of the id. Entries are written under the condition that
// their ETag is the one that was read, which S3 checks. The bucket must have no
// lifecycle rule that removes these objects.
//
// The role of a dispatcher or a worker needs s3:GetObject under the prefix, and
// s3:ListBucket on the bucket: without it, S3 answers AccessDenied for a
// missing object. Who pushes needs s3:PutObject too, and s3:DeleteObject to
// erase.
package s3registry

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/scriptfleet/scriptfleet/pkg/registry"
	"github.com/scriptfleet/scriptfleet/pkg/run"
)

// API is what a Store uses of *s3.Client.
type API interface {
	PutObject(context.Context, *s3.PutObjectInput, ...func(*s3.Options)) (*s3.PutObjectOutput, error)
	GetObject(context.Context, *s3.GetObjectInput, ...func(*s3.Options)) (*s3.GetObjectOutput, error)
	DeleteObject(context.Context, *s3.DeleteObjectInput, ...func(*s3.Options)) (*s3.DeleteObjectOutput, error)
	ListObjectsV2(context.Context, *s3.ListObjectsV2Input, ...func(*s3.Options)) (*s3.ListObjectsV2Output, error)
}

var _ API = (*s3.Client)(nil)

// maxBytes bounds what is read of an object: a script, its requirements, and
// their escapes in JSON.
const maxBytes = 6*(run.MaxScriptBytes+run.MaxRequirementsBytes) + 4096

// Store is a registry.Store in a bucket.
type Store struct {
	client API
	bucket string
	prefix string // without a slash at its end
}

var _ registry.Store = (*Store)(nil)

// New returns a store in the bucket, which must exist. Only the client retries
// calls.
func New(client API, bucket, prefix string) *Store { return &Store{client, bucket, prefix} }

// Entry reads an entry; its revision is the object's ETag.
func (s *Store) Entry(ctx context.Context, n registry.Name, known registry.Revision) (registry.Entry, error) {
	in := &s3.GetObjectInput{Bucket: &s.bucket, Key: aws.String(s.entryKey(n))}
	if known != "" {
		in.IfNoneMatch = aws.String(string(known))
	}
	body, etag, err := s.get(ctx, in)
	if err != nil {
		return registry.Entry{}, err
	}
	var e registry.Entry
	if err := json.Unmarshal(body, &e); err != nil {
		return registry.Entry{}, fmt.Errorf("decode %s: %w", *in.Key, err)
	}
	e.Revision = registry.Revision(etag)
	return e, nil
}

// Save writes an entry if its revision is the present one.
func (s *Store) Save(ctx context.Context, n registry.Name, e registry.Entry) error {
	in := &s3.PutObjectInput{Bucket: &s.bucket, Key: aws.String(s.entryKey(n)), ContentType: aws.String("application/json")}
	if e.Revision == "" {
		in.IfNoneMatch = aws.String("*")
	} else {
		in.IfMatch = aws.String(string(e.Revision))
	}
	body, err := json.Marshal(e)
	if err != nil {
		return fmt.Errorf("encode %s: %w", *in.Key, err)
	}
	in.Body = bytes.NewReader(body)
	_, err = s.client.PutObject(ctx, in)
	// 412: another revision. 409: another write at the same moment.
	if c := status(err); c == http.StatusPreconditionFailed || c == http.StatusConflict {
		return fmt.Errorf("put object %s: %w", *in.Key, registry.ErrConflict)
	}
	if err != nil {
		return fmt.Errorf("put object %s: %w", *in.Key, err)
	}
	return nil
}

// PutText writes a version's content, under its own digest.
func (s *Store) PutText(ctx context.Context, n registry.Name, p run.Pushed) error {
	key := s.textKey(n, p.Version())
	body, err := json.Marshal(p)
	if err != nil {
		return fmt.Errorf("encode %s: %w", key, err)
	}
	_, err = s.client.PutObject(ctx, &s3.PutObjectInput{Bucket: &s.bucket, Key: &key, Body: bytes.NewReader(body), ContentType: aws.String("application/json")})
	if err != nil {
		return fmt.Errorf("put object %s: %w", key, err)
	}
	return nil
}

// Text reads a version's content, and checks its digest.
func (s *Store) Text(ctx context.Context, n registry.Name, v run.ScriptVersion) (run.Pushed, error) {
	in := &s3.GetObjectInput{Bucket: &s.bucket, Key: aws.String(s.textKey(n, v))}
	body, _, err := s.get(ctx, in)
	if err != nil {
		return run.Pushed{}, err
	}
	var p run.Pushed
	if err := json.Unmarshal(body, &p); err != nil || p.Version() != v {
		return run.Pushed{}, fmt.Errorf("read %s: %w", *in.Key, registry.ErrCorrupt)
	}
	return p, nil
}

// Erase removes a version's content.
func (s *Store) Erase(ctx context.Context, n registry.Name, v run.ScriptVersion) error {
	key := s.textKey(n, v)
	if _, err := s.client.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: &s.bucket, Key: &key}); err != nil {
		return fmt.Errorf("delete object %s: %w", key, err)
	}
	return nil
}

// List returns the ids of a tenant's entries.
func (s *Store) List(ctx context.Context, tenant string) ([]string, error) {
	folder := s.prefix + "/" + tenant + "/"
	in := &s3.ListObjectsV2Input{Bucket: &s.bucket, Prefix: &folder, Delimiter: aws.String("/")}
	var ids []string
	for more := true; more; {
		page, err := s.client.ListObjectsV2(ctx, in)
		if err != nil {
			return nil, fmt.Errorf("list objects below %s: %w", folder, err)
		}
		for _, p := range page.CommonPrefixes {
			name := strings.TrimSuffix(strings.TrimPrefix(aws.ToString(p.Prefix), folder), "/")
			ids = append(ids, strings.ReplaceAll(name, "~", "/"))
		}
		in.ContinuationToken = page.NextContinuationToken
		more = aws.ToBool(page.IsTruncated)
	}
	slices.Sort(ids)
	return ids, nil
}

func (s *Store) get(ctx context.Context, in *s3.GetObjectInput) (body []byte, etag string, err error) {
	out, err := s.client.GetObject(ctx, in)
	missing := (*types.NoSuchKey)(nil)
	switch {
	case errors.As(err, &missing):
		return nil, "", fmt.Errorf("get object %s: %w", *in.Key, registry.ErrNotFound)
	case status(err) == http.StatusNotModified:
		return nil, "", registry.ErrUnchanged
	case err != nil:
		return nil, "", fmt.Errorf("get object %s: %w", *in.Key, err)
	}
	defer out.Body.Close()
	body, err = io.ReadAll(io.LimitReader(out.Body, maxBytes))
	if err != nil {
		return nil, "", fmt.Errorf("read object %s: %w", *in.Key, err)
	}
	return body, aws.ToString(out.ETag), nil
}

// status is the HTTP status of an error of S3, or 0.
func status(err error) int {
	var answer interface{ HTTPStatusCode() int }
	if errors.As(err, &answer) {
		return answer.HTTPStatusCode()
	}
	return 0
}

func (s *Store) folder(n registry.Name) string {
	return s.prefix + "/" + n.Tenant + "/" + strings.ReplaceAll(n.ID, "/", "~")
}

func (s *Store) entryKey(n registry.Name) string { return s.folder(n) + "/entry.json" }

func (s *Store) textKey(n registry.Name, v run.ScriptVersion) string {
	return s.folder(n) + "/versions/" + string(v)
}
