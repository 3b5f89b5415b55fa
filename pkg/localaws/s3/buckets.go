package s3

import (
	"encoding/xml"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/johannesboyne/gofakes3"
	"go.etcd.io/bbolt"

	"github.com/scriptfleet/scriptfleet/pkg/localaws/auth"
)

// everyone owns the buckets that the root key has made.
const everyone = ""

// owners remembers the account that owns each bucket. A bucket that it does not
// know is everyone's.
type owners struct {
	db *bbolt.DB // nil: in memory

	mu sync.RWMutex
	of map[string]string
}

var ownersBucket = []byte("s3-owners")

func openOwners(db *bbolt.DB) (*owners, error) {
	o := &owners{db: db, of: map[string]string{}}
	if db == nil {
		return o, nil
	}
	err := db.View(func(tx *bbolt.Tx) error {
		b := tx.Bucket(ownersBucket)
		if b == nil {
			return nil
		}
		return b.ForEach(func(bucket, account []byte) error {
			o.of[string(bucket)] = string(account)
			return nil
		})
	})
	if err != nil {
		return nil, fmt.Errorf("load the owners of buckets: %w", err)
	}
	return o, nil
}

func (o *owners) get(bucket string) string {
	o.mu.RLock()
	defer o.mu.RUnlock()
	return o.of[bucket]
}

func (o *owners) set(bucket, account string) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.of[bucket] == account {
		return nil
	}
	if o.db != nil {
		err := o.db.Update(func(tx *bbolt.Tx) error {
			b, err := tx.CreateBucketIfNotExists(ownersBucket)
			if err != nil {
				return err
			}
			if account == everyone {
				return b.Delete([]byte(bucket))
			}
			return b.Put([]byte(bucket), []byte(account))
		})
		if err != nil {
			return fmt.Errorf("store the owner of bucket %s: %w", bucket, err)
		}
	}
	if account == everyone {
		delete(o.of, bucket)
		return nil
	}
	o.of[bucket] = account
	return nil
}

// reaches tells whether the bucket of a resource is open to the identity's
// account.
func (s *Server) reaches(id auth.Identity, resource string) bool {
	bucket, _, _ := strings.Cut(strings.TrimPrefix(resource, "arn:aws:s3:::"), "/")
	owner := s.owners.get(bucket)
	return id.IsRoot() || owner == everyone || owner == id.Account()
}

// Bytes is what the objects that are open to an account take, with 1 KiB for
// each, and the parts of its uploads that have not ended.
func (s *Server) Bytes(account string) (n int64) {
	buckets, _ := s.backend.ListBuckets()
	for _, b := range buckets {
		if owner := s.owners.get(b.Name); owner != everyone && owner != account {
			continue
		}
		objects, err := s.backend.ListBucket(b.Name, nil, gofakes3.ListBucketPage{})
		if err != nil {
			continue // it was deleted meanwhile
		}
		for _, o := range objects.Contents {
			n += o.Size + 1<<10
		}
	}
	s.parts.Range(func(_, p any) bool {
		if p := p.(part); p.account == account {
			n += p.bytes
		}
		return true
	})
	return n
}

// part is one part of an upload that has not ended.
type part struct {
	account string
	bytes   int64
}

type partKey struct{ upload, number string }

// notePart keeps count of the parts of uploads. gofakes3 holds them in memory
// until their upload ends.
func (s *Server) notePart(r *http.Request, id auth.Identity) {
	q := r.URL.Query()
	upload := q.Get("uploadId")
	if upload == "" {
		return
	}
	if r.Method == http.MethodPut {
		s.parts.Store(partKey{upload, q.Get("partNumber")}, part{id.Account(), max(r.ContentLength, 0)})
		return
	}
	s.parts.Range(func(key, _ any) bool {
		if key.(partKey).upload == upload {
			s.parts.Delete(key)
		}
		return true
	})
}

// CopiedBytes is the size of the object that a request copies, or 0.
func (s *Server) CopiedBytes(r *http.Request) int64 {
	bucket, key, _ := strings.Cut(copySource(r), "/")
	if key == "" {
		return 0
	}
	object, err := s.backend.HeadObject(bucket, key)
	if err != nil {
		return 0 // the copy will fail
	}
	_ = object.Contents.Close()
	return object.Size
}

type listedBuckets struct {
	XMLName xml.Name `xml:"http://s3.amazonaws.com/doc/2006-03-01/ ListAllMyBucketsResult"`
	Owner   struct {
		ID string
	}
	Buckets struct {
		Bucket []listedBucket
	}
}

type listedBucket struct {
	Name         string
	CreationDate string
}

// listBuckets lists the buckets that are open to the identity's account.
func (s *Server) listBuckets(w http.ResponseWriter, id auth.Identity) {
	all, err := s.backend.ListBuckets()
	if err != nil {
		auth.WriteS3Error(w, http.StatusInternalServerError, "InternalError", err.Error())
		return
	}
	var out listedBuckets
	out.Owner.ID = id.Account()
	for _, b := range all {
		if s.reaches(id, b.Name) {
			out.Buckets.Bucket = append(out.Buckets.Bucket, listedBucket{b.Name, b.CreationDate.UTC().Format(time.RFC3339)})
		}
	}
	w.Header().Set("Content-Type", "application/xml")
	_, _ = w.Write([]byte(xml.Header))
	_ = xml.NewEncoder(w).Encode(out) // on an error the client has gone
}

// makeBucket makes a bucket of the identity's account. Names are shared by all
// accounts, as on AWS.
func (s *Server) makeBucket(w http.ResponseWriter, r *http.Request, id auth.Identity, bucket string) {
	s.making.Lock()
	defer s.making.Unlock()
	exists, err := s.backend.BucketExists(bucket)
	switch {
	case err != nil:
		auth.WriteS3Error(w, http.StatusInternalServerError, "InternalError", err.Error())
		return
	case exists && s.reaches(id, bucket):
		auth.WriteS3Error(w, http.StatusConflict, "BucketAlreadyOwnedByYou", "Your previous request to create the named bucket succeeded and you already own it.")
		return
	case exists:
		auth.WriteS3Error(w, http.StatusConflict, "BucketAlreadyExists", "The requested bucket name is not available. The bucket namespace is shared by all users of the system. Please select a different name and try again.")
		return
	}
	owner := id.Account()
	if id.IsRoot() {
		owner = everyone
	}
	if err := s.owners.set(bucket, owner); err != nil { // before it can be reached
		auth.WriteS3Error(w, http.StatusInternalServerError, "InternalError", err.Error())
		return
	}
	if answer := (&answered{ResponseWriter: w}); !answer.of(s.fake, r) {
		_ = s.owners.set(bucket, everyone) // it was not made
	}
}

// deleteBucket deletes a bucket; its name is free then.
func (s *Server) deleteBucket(w http.ResponseWriter, r *http.Request, bucket string) {
	s.making.Lock()
	defer s.making.Unlock()
	if answer := (&answered{ResponseWriter: w}); answer.of(s.fake, r) {
		_ = s.owners.set(bucket, everyone)
	}
}

// answered notes whether a call succeeded.
type answered struct {
	http.ResponseWriter
	status int
}

func (a *answered) of(h http.Handler, r *http.Request) (succeeded bool) {
	h.ServeHTTP(a, r)
	return a.status < http.StatusMultipleChoices
}

func (a *answered) WriteHeader(status int) {
	a.status = status
	a.ResponseWriter.WriteHeader(status)
}
