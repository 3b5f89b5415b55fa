// Package s3 is the embedded stack's S3: gofakes3 with path style addresses,
// behind the stack's own signatures and policies.
//
// What must hold:
//   - An identity reaches only what its policies allow, and never a bucket of
//     another account: neither another tenant's nor the fleet's.
//   - A bucket that the root key has made is open to every account: a developer
//     fills it for scripts to read. The policies of their roles still apply.
//   - A bucket has to be made before it is used, as on AWS.
//   - With a database, objects survive a restart; the database is S3's own,
//     because s3bolt takes every bucket at its root for a bucket of S3.
package s3

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/textproto"
	"net/url"
	"strconv"
	"strings"
	"sync"

	"github.com/johannesboyne/gofakes3"
	"github.com/johannesboyne/gofakes3/backend/s3bolt"
	"github.com/johannesboyne/gofakes3/backend/s3mem"
	"go.etcd.io/bbolt"

	"github.com/scriptfleet/scriptfleet/pkg/localaws/auth"
)

// Config configures a Server.
type Config struct {
	Account string    // of the fleet
	Objects *bbolt.DB // stores objects; nil: in memory
	Owners  *bbolt.DB // stores whose each bucket is; nil: in memory
}

// Server is the S3 endpoint: an http.Handler that must be behind auth.Verify.
type Server struct {
	account string
	backend gofakes3.Backend
	fake    http.Handler
	owners  *owners
	parts   sync.Map   // of uploads that have not ended: part by partKey
	making  sync.Mutex // held while a bucket is made or deleted
}

// New returns a server with the buckets of the databases.
func New(cfg Config) (*Server, error) {
	var backend gofakes3.Backend = s3mem.New()
	if cfg.Objects != nil {
		backend = s3bolt.New(cfg.Objects)
	}
	fake := gofakes3.New(backend,
		gofakes3.WithTimeSkewLimit(0), // auth checks the time
		gofakes3.WithoutVersioning(),
	)
	owners, err := openOwners(cfg.Owners)
	if err != nil {
		return nil, err
	}
	return &Server{account: cfg.Account, backend: backend, fake: fake.Server(), owners: owners}, nil
}

// Ensure makes a bucket of the fleet's if it does not exist.
func (s *Server) Ensure(bucket string) error {
	s.making.Lock()
	defer s.making.Unlock()
	exists, err := s.backend.BucketExists(bucket)
	if err == nil && !exists {
		err = s.backend.CreateBucket(bucket)
	}
	if err == nil {
		err = s.owners.set(bucket, s.account)
	}
	if err != nil {
		return fmt.Errorf("make bucket %s: %w", bucket, err)
	}
	return nil
}

// Fetch reads a whole object.
func (s *Server) Fetch(ctx context.Context, bucket, key string) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	object, err := s.backend.GetObject(bucket, key, nil)
	if err != nil {
		return nil, fmt.Errorf("fetch s3://%s/%s: %w", bucket, key, err)
	}
	defer object.Contents.Close()
	body, err := io.ReadAll(object.Contents)
	if err != nil {
		return nil, fmt.Errorf("fetch s3://%s/%s: %w", bucket, key, err)
	}
	return body, nil
}

// ServeHTTP answers one call, if the signer may make it.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	id, ok := auth.From(r.Context())
	if !ok {
		auth.WriteS3Denied(w, "the request carries no identity")
		return
	}
	for _, need := range needs(r) {
		// A name that another account has taken is told by makeBucket.
		open := need.action == createBucket || s.reaches(id, need.resource)
		if !open || !id.Allows(need.action, need.resource) {
			auth.WriteS3Denied(w, auth.Denied(id, need.action, need.resource))
			return
		}
	}
	if strings.HasPrefix(r.Header.Get("X-Amz-Content-Sha256"), "STREAMING-") {
		if err := unwrap(r); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
	}
	for _, secret := range []string{"Authorization", "X-Amz-Security-Token", "X-Amz-Date"} {
		r.Header.Del(secret) // gofakes3 stores such headers with an object, and sends them to its readers
	}
	bucket, key, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	switch {
	case bucket == "" && r.Method == http.MethodGet:
		s.listBuckets(w, id)
	case unsupported(r) != "":
		auth.WriteS3Error(w, http.StatusNotImplemented, "NotImplemented", "the embedded S3 has no "+unsupported(r)+" of buckets and objects")
	case key == "" && r.Method == http.MethodPut:
		s.makeBucket(w, r, id, bucket)
	case key == "" && r.Method == http.MethodDelete:
		s.deleteBucket(w, r, bucket)
	default:
		if answer := (&answered{ResponseWriter: w}); answer.of(s.fake, r) && r.Method != http.MethodGet {
			s.notePart(r, id)
		}
	}
}

// subresources are parts of buckets and objects that gofakes3 does not have. It
// would take a request for them for one of the object itself.
var subresources = []string{
	"accelerate", "acl", "analytics", "cors", "encryption", "intelligent-tiering", "inventory", "legal-hold", "lifecycle", "logging",
	"metrics", "notification", "object-lock", "ownershipControls", "policy", "policyStatus", "publicAccessBlock", "replication",
	"requestPayment", "restore", "retention", "select", "tagging", "torrent", "website",
}

// unsupported is the subresource that a request names, or "".
func unsupported(r *http.Request) string {
	if r.URL.RawQuery == "" {
		return ""
	}
	q := r.URL.Query()
	for _, name := range subresources {
		if q.Has(name) {
			return name
		}
	}
	return ""
}

type need struct{ action, resource string }

const createBucket = "s3:CreateBucket"

// needs are the permissions that a call needs. A call of an unknown kind needs
// all of them.
func needs(r *http.Request) []need {
	const all = "arn:aws:s3:::*"
	bucket, key, hasKey := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	hasKey = hasKey && key != ""
	arn := "arn:aws:s3:::" + bucket
	q := r.URL.Query()
	switch {
	case bucket == "" && r.Method == http.MethodGet:
		return []need{{"s3:ListAllMyBuckets", all}}
	case q.Has("versions") || q.Has("versioning") || q.Has("versionId"):
		return []need{{"s3:*", all}}
	case !hasKey:
		return bucketNeeds(r, arn)
	}
	object := arn + "/" + key
	switch r.Method {
	case http.MethodGet, http.MethodHead:
		return []need{{"s3:GetObject", object}}
	case http.MethodDelete:
		return []need{{"s3:DeleteObject", object}}
	case http.MethodPut:
		return append(copyNeeds(r), need{"s3:PutObject", object})
	case http.MethodPost:
		return []need{{"s3:PutObject", object}} // multipart upload
	}
	return []need{{"s3:*", all}}
}

func bucketNeeds(r *http.Request, arn string) []need {
	q := r.URL.Query()
	q.Del("x-id") // the SDKs' name of the operation
	switch {
	case q.Has("location"):
		return []need{{"s3:GetBucketLocation", arn}}
	case r.Method == http.MethodGet || r.Method == http.MethodHead:
		return []need{{"s3:ListBucket", arn}}
	case r.Method == http.MethodPut && len(q) == 0:
		return []need{{createBucket, arn}}
	case r.Method == http.MethodDelete:
		return []need{{"s3:DeleteBucket", arn}}
	case r.Method == http.MethodPost && q.Has("delete"):
		return []need{{"s3:DeleteObject", arn + "/*"}}
	}
	return []need{{"s3:*", arn + "/*"}}
}

// copyNeeds is the permission to read the source of a copy.
func copyNeeds(r *http.Request) []need {
	source := copySource(r)
	if source == "" {
		return nil
	}
	return []need{{"s3:GetObject", "arn:aws:s3:::" + source}}
}

// copySource is BUCKET/KEY of the object that a request copies, or "".
func copySource(r *http.Request) string {
	source := r.Header.Get("X-Amz-Copy-Source")
	if plain, err := url.PathUnescape(source); err == nil {
		source = plain
	}
	source, _, _ = strings.Cut(strings.TrimPrefix(source, "/"), "?")
	return source
}

// unwrap removes the chunk framing from a streamed body; gofakes3 supports only
// one of its forms. It does not check the signatures of chunks and the
// checksums in trailers: the connection is loopback.
func unwrap(r *http.Request) error {
	size, err := strconv.ParseInt(r.Header.Get("X-Amz-Decoded-Content-Length"), 10, 64)
	if err != nil || size < 0 {
		return fmt.Errorf("read streamed body: X-Amz-Decoded-Content-Length is missing")
	}
	r.Body = struct {
		io.Reader
		io.Closer
	}{io.LimitReader(newChunks(r.Body), size), r.Body}
	r.ContentLength = size
	r.Header.Set("Content-Length", strconv.FormatInt(size, 10))
	r.Header.Set("X-Amz-Content-Sha256", "UNSIGNED-PAYLOAD")
	encodings := strings.Split(r.Header.Get("Content-Encoding"), ",")
	kept := encodings[:0]
	for _, e := range encodings {
		if e = textproto.TrimString(e); e != "" && e != "aws-chunked" {
			kept = append(kept, e)
		}
	}
	if r.Header.Del("Content-Encoding"); len(kept) > 0 {
		r.Header.Set("Content-Encoding", strings.Join(kept, ","))
	}
	return nil
}
