package s3

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"testing/iotest"

	"go.etcd.io/bbolt"

	"github.com/scriptfleet/scriptfleet/pkg/localaws/auth"
)

func call(s *Server, id auth.Identity, r *http.Request) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r.WithContext(auth.With(r.Context(), id)))
	return w
}

func put(path, body string) *http.Request {
	r := httptest.NewRequest(http.MethodPut, path, strings.NewReader(body))
	r.Header.Set("Content-Length", strconv.Itoa(len(body)))
	return r
}

var root = auth.Root("1", "k")

// empty is a server with one bucket of the fleet's.
func empty(t *testing.T, bucket string) *Server {
	t.Helper()
	s, err := New(Config{Account: "1"})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Ensure(bucket); err != nil {
		t.Fatal(err)
	}
	return s
}

// role is a session of a role in the account, which its policy lets do
// everything.
func role(account string) auth.Identity {
	return auth.SessionOf("k", "arn:aws:sts::"+account+":assumed-role/r/s", "u", auth.AllowAll())
}

func TestStreamedBodiesAreStoredWithoutTheirFraming(t *testing.T) {
	const signed = "4;chunk-signature=ab\r\nwiki\r\n5;chunk-signature=cd\r\npedia\r\n0;chunk-signature=ef\r\n\r\n"
	const trailed = "4\r\nwiki\r\n5\r\npedia\r\n0\r\nx-amz-checksum-crc32:AAAAAA==\r\n\r\n"
	for form, body := range map[string]string{
		"STREAMING-AWS4-HMAC-SHA256-PAYLOAD": signed, "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER": signed,
		"STREAMING-UNSIGNED-PAYLOAD-TRAILER": trailed,
	} {
		s := empty(t, "b")
		r := put("/b/k", body)
		r.Header.Set("X-Amz-Content-Sha256", form)
		r.Header.Set("X-Amz-Decoded-Content-Length", "9")
		r.Header.Set("Content-Encoding", "gzip, aws-chunked")
		if w := call(s, root, r); w.Code != 200 {
			t.Fatal(form, w.Code, w.Body)
		}
		if got, err := s.Fetch(t.Context(), "b", "k"); err != nil || string(got) != "wikipedia" {
			t.Errorf("%s: %q %v", form, got, err)
		}
		if w := call(s, root, httptest.NewRequest(http.MethodGet, "/b/k", nil)); w.Header().Get("Content-Encoding") != "gzip" {
			t.Errorf("%s: the encoding is %q", form, w.Header().Get("Content-Encoding"))
		}
	}
}

func TestChunksThatDoNotKeepTheirWordAreErrors(t *testing.T) {
	for _, body := range []string{"", "4\r\nwi", "4\r\nwikixx5\r\n", "zz\r\n", "-1\r\n", "4\r\nwiki\r\n", "ffffffffffffffff\r\n", strings.Repeat("0", 5000)} {
		if _, err := io.ReadAll(newChunks(strings.NewReader(body))); err == nil {
			t.Errorf("%.20q passes", body)
		}
	}
}

func FuzzChunksGiveBackWhatWasFramed(f *testing.F) {
	f.Add([]byte("wikipedia"), 4)
	f.Fuzz(func(t *testing.T, data []byte, size int) {
		if size < 1 {
			return
		}
		var framed bytes.Buffer
		for rest := data; len(rest) > 0; {
			n := min(size, len(rest))
			framed.WriteString(strconv.FormatInt(int64(n), 16) + "\r\n" + string(rest[:n]) + "\r\n")
			rest = rest[n:]
		}
		framed.WriteString("0\r\n\r\n")
		got, err := io.ReadAll(newChunks(iotest.OneByteReader(&framed)))
		if err != nil || !bytes.Equal(got, data) {
			t.Errorf("%q, %v", got, err)
		}
	})
}

func TestAnIdentityReachesOnlyWhatItsPolicyAllows(t *testing.T) {
	s := empty(t, "b")
	for _, path := range []string{"/b/mine/1", "/b/yours/1"} {
		if w := call(s, root, put(path, "x")); w.Code != 200 {
			t.Fatal(w.Code, w.Body)
		}
	}
	mine := auth.SessionOf("k", "arn:aws:sts::1:assumed-role/r/s", "u", auth.Allow([]string{"s3:GetObject", "s3:PutObject"}, []string{"arn:aws:s3:::b/mine/*"}))
	copied := put("/b/mine/2", "")
	copied.Header.Set("X-Amz-Copy-Source", "b%2Fyours%2F1")
	for _, c := range []struct {
		what    string
		request *http.Request
		want    int
	}{
		{"its own object", httptest.NewRequest(http.MethodGet, "/b/mine/1", nil), 200},
		{"a new object", put("/b/mine/new", "x"), 200},
		{"another's object", httptest.NewRequest(http.MethodGet, "/b/yours/1", nil), 403},
		{"another's object, on a winding path", httptest.NewRequest(http.MethodGet, "/b/mine/../yours/1", nil), 404},
		{"another's object, escaped", httptest.NewRequest(http.MethodGet, "/b/%79ours/1", nil), 403},
		{"a copy of another's object", copied, 403},
		{"a list", httptest.NewRequest(http.MethodGet, "/b?list-type=2", nil), 403},
		{"the buckets", httptest.NewRequest(http.MethodGet, "/", nil), 403},
		{"its object's deletion", httptest.NewRequest(http.MethodDelete, "/b/mine/1", nil), 403},
		{"a deletion of many", httptest.NewRequest(http.MethodPost, "/b?delete", nil), 403},
		{"the bucket's deletion", httptest.NewRequest(http.MethodDelete, "/b", nil), 403},
		{"a form", httptest.NewRequest(http.MethodPost, "/b", nil), 403},
		{"a new bucket", httptest.NewRequest(http.MethodPut, "/mine", nil), 403},
	} {
		if w := call(s, mine, c.request); w.Code != c.want {
			t.Errorf("%s: %d, not %d: %s", c.what, w.Code, c.want, w.Body)
		}
	}
	w := httptest.NewRecorder()
	s.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/b/mine/1", nil))
	if w.Code != 403 {
		t.Error("a request without an identity:", w.Code)
	}
}

func TestAnObjectHoldsNothingOfItsWritersSignature(t *testing.T) {
	s := empty(t, "b")
	r := put("/b/k", "x")
	for name, value := range map[string]string{"Authorization": "signature", "X-Amz-Security-Token": "token", "X-Amz-Meta-Kind": "kept"} {
		r.Header.Set(name, value)
	}
	if w := call(s, root, r); w.Code != 200 {
		t.Fatal(w.Code, w.Body)
	}
	got := call(s, root, httptest.NewRequest(http.MethodGet, "/b/k", nil)).Header()
	if got.Get("X-Amz-Meta-Kind") != "kept" || got.Get("Authorization") != "" || got.Get("X-Amz-Security-Token") != "" {
		t.Errorf("its readers get %v", got)
	}
}

func TestABucketIsReachedByItsOwnAccountAlone(t *testing.T) {
	path := filepath.Join(t.TempDir(), "owners.db")
	db, err := bbolt.Open(path, 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	s, err := New(Config{Account: "1", Owners: db})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Ensure("fleet"); err != nil {
		t.Fatal(err)
	}
	of2, of3, get := role("2"), role("3"), func(path string) *http.Request { return httptest.NewRequest(http.MethodGet, path, nil) }
	del := func(path string) *http.Request { return httptest.NewRequest(http.MethodDelete, path, nil) }
	copied := put("/of-three/stolen", "")
	copied.Header.Set("X-Amz-Copy-Source", "/of-two/k")
	for _, c := range []struct {
		what    string
		as      auth.Identity
		request *http.Request
		want    int
		says    string
	}{
		{"two makes a bucket", of2, put("/of-two", ""), 200, ""},
		{"two fills it", of2, put("/of-two/k", "x"), 200, ""},
		{"three makes its own", of3, put("/of-three", ""), 200, ""},
		{"two makes its own again", of2, put("/of-two", ""), 409, "BucketAlreadyOwnedByYou"},
		{"three takes two's name", of3, put("/of-two", ""), 409, "BucketAlreadyExists"},
		{"three takes the fleet's", of3, put("/fleet", ""), 409, "BucketAlreadyExists"},
		{"a bad name is refused", of3, put("/A", ""), 400, "InvalidBucketName"},
		{"three reads", of3, get("/of-two/k"), 403, "AccessDenied"},
		{"three lists", of3, get("/of-two?list-type=2"), 403, "AccessDenied"},
		{"three copies", of3, copied, 403, "AccessDenied"},
		{"three writes", of3, put("/of-two/k", "y"), 403, "AccessDenied"},
		{"three deletes", of3, del("/of-two/k"), 403, "AccessDenied"},
		{"three deletes the bucket", of3, del("/of-two"), 403, "AccessDenied"},
		{"three reads the fleet's", of3, get("/fleet/k"), 403, "AccessDenied"},
		{"three lists no other's", of3, get("/"), 200, "<Buckets><Bucket><Name>of-three<"},
		{"root reads", root, get("/of-two/k"), 200, "x"},
		{"root makes one for all", root, put("/shared", ""), 200, ""},
		{"root fills it", root, put("/shared/k", "for all"), 200, ""},
		{"three reads that", of3, get("/shared/k"), 200, "for all"},
		{"a bucket is missing", of3, put("/missing/k", "x"), 404, "NoSuchBucket"},
		{"a bucket is missing to list", of3, get("/missing?list-type=2"), 404, "NoSuchBucket"},
		{"its place", of3, get("/of-three?location"), 200, "LocationConstraint"},
		{"its policy", of3, get("/of-three?policy"), 501, "NotImplemented"},
		{"two empties its own", of2, del("/of-two/k"), 204, ""},
		{"two deletes its own", of2, del("/of-two"), 204, ""},
		{"three takes the name that is free", of3, put("/of-two", ""), 200, ""},
	} {
		if w := call(s, c.as, c.request); w.Code != c.want || !strings.Contains(w.Body.String(), c.says) {
			t.Errorf("%s: %d, not %d: %s", c.what, w.Code, c.want, w.Body)
		}
	}
	again, err := openOwners(db)
	if err != nil || again.get("of-two") != "3" || again.get("fleet") != "1" || again.get("A") != everyone {
		t.Errorf("after a restart the owners are %v, %v", again.of, err)
	}
}

func TestObjectsOutliveARestart(t *testing.T) {
	path := filepath.Join(t.TempDir(), "objects.db")
	for life := range 2 {
		db, err := bbolt.Open(path, 0o600, nil)
		if err != nil {
			t.Fatal(err)
		}
		s, err := New(Config{Account: "1", Objects: db})
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Ensure("b"); err != nil {
			t.Fatal(err)
		}
		if life == 0 {
			if w := call(s, root, put("/b/k", "content")); w.Code != 200 {
				t.Fatal(w.Code, w.Body)
			}
		} else if got, err := s.Fetch(t.Context(), "b", "k"); err != nil || string(got) != "content" {
			t.Error(string(got), err)
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
	}
}
