// Package s3store keeps claim-checked bodies in an S3 bucket.
//
// The role needs s3:GetObject and s3:PutObject under the prefixes, and
// s3:ListBucket on the bucket. Without ListBucket, S3 answers AccessDenied for
// a missing object. That is no ErrNoObject, so the delivery would be put back
// again and again instead of being rejected.
package s3store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/scriptfleet/scriptfleet/pkg/claimcheck"
)

// API is what a Store uses of *s3.Client.
type API interface {
	PutObject(context.Context, *s3.PutObjectInput, ...func(*s3.Options)) (*s3.PutObjectOutput, error)
	GetObject(context.Context, *s3.GetObjectInput, ...func(*s3.Options)) (*s3.GetObjectOutput, error)
}

var _ API = (*s3.Client)(nil)

// NewClient returns a client of S3. At an endpoint other than AWS's, it puts the
// bucket into the path, since a bucket's name in front of such a host resolves
// to nothing.
func NewClient(cfg aws.Config) *s3.Client {
	own := cfg.BaseEndpoint != nil || os.Getenv("AWS_ENDPOINT_URL") != ""
	return s3.NewFromConfig(cfg, func(o *s3.Options) { o.UsePathStyle = own })
}

// Store is a claimcheck.Store in a bucket.
type Store struct {
	client API
	bucket string
}

var _ claimcheck.Store = (*Store)(nil)

// New returns a store in the bucket, which must exist. Only the client retries
// calls.
func New(client API, bucket string) *Store { return &Store{client: client, bucket: bucket} }

// Bucket returns the bucket's name.
func (s *Store) Bucket() string { return s.bucket }

// Put stores body under key.
func (s *Store) Put(ctx context.Context, key string, body []byte) error {
	_, err := s.client.PutObject(ctx, &s3.PutObjectInput{Bucket: &s.bucket, Key: &key, Body: bytes.NewReader(body)})
	if err != nil {
		return fmt.Errorf("put object %s: %w", key, err)
	}
	return nil
}

// Get reads an object of at most limit bytes.
func (s *Store) Get(ctx context.Context, key string, limit int) ([]byte, error) {
	out, err := s.client.GetObject(ctx, &s3.GetObjectInput{Bucket: &s.bucket, Key: &key})
	if missing := (*types.NoSuchKey)(nil); errors.As(err, &missing) {
		return nil, fmt.Errorf("get object %s: %w", key, claimcheck.ErrNoObject)
	}
	if err != nil {
		return nil, fmt.Errorf("get object %s: %w", key, err)
	}
	defer out.Body.Close()
	if out.ContentLength != nil && *out.ContentLength > int64(limit) {
		return nil, fmt.Errorf("get object %s of %d bytes: %w", key, *out.ContentLength, claimcheck.ErrTooLarge)
	}
	body, err := io.ReadAll(io.LimitReader(out.Body, int64(limit)+1))
	if err != nil {
		return nil, fmt.Errorf("read object %s: %w", key, err)
	}
	if len(body) > limit {
		return nil, fmt.Errorf("get object %s: %w", key, claimcheck.ErrTooLarge)
	}
	return body, nil
}
