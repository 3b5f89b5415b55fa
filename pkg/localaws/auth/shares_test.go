package auth

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"
)

func TestBodiesOfOneKeyLeaveRoomForThoseOfOthers(t *testing.T) {
	keys, err := NewKeys(account, "AKIAROOT", "root secret")
	if err != nil {
		t.Fatal(err)
	}
	keys.AddRole(Role{ARN: "arn:aws:iam::123456789012:role/r"})
	role, _ := keys.Role("arn:aws:iam::123456789012:role/r")
	v := NewVerifier(keys, func() time.Time { return start }, nil)
	v.bodies = NewShares(2500, 5000)
	held, release := make(chan struct{}), make(chan struct{})
	door := v.Verify(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if body, _ := io.ReadAll(r.Body); strings.HasPrefix(string(body), "hold") {
			held <- struct{}{}
			<-release
		}
	}))
	signed := func(s Session, body string) *http.Request {
		return signing{key: s.AccessKey, secret: s.Secret, token: s.Token, service: "sqs", body: body, at: start}.request(t)
	}
	session := func(name string) Session {
		s, err := keys.Issue(role, name, "", start.Add(time.Hour))
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	code := func(r *http.Request) *httptest.ResponseRecorder {
		w := httptest.NewRecorder()
		door.ServeHTTP(w, r)
		return w
	}
	greedy, neighbour := session("greedy"), session("neighbour")
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() { code(signed(greedy, "hold"+strings.Repeat("x", 996))) })
		<-held
	}
	w := code(signed(greedy, strings.Repeat("x", 1000)))
	if w.Code != 503 || w.Header().Get("Retry-After") == "" || !strings.Contains(w.Body.String(), "ServiceUnavailable") {
		t.Errorf("a third body of the key is answered %d %v %s", w.Code, w.Header(), w.Body)
	}
	for name, r := range map[string]*http.Request{
		"a small one of the same key": signed(greedy, "x"),
		"a neighbour's":               signed(neighbour, strings.Repeat("x", 2000)),
		"the fleet's own":             signed(Session{AccessKey: "AKIAROOT", Secret: "root secret"}, strings.Repeat("x", 10_000)),
	} {
		if w := code(r); w.Code != 200 {
			t.Errorf("%s is answered %d %s", name, w.Code, w.Body)
		}
	}
	close(release)
	wg.Wait()
	if w := code(signed(greedy, strings.Repeat("x", 2500))); w.Code != 200 {
		t.Errorf("afterwards the key is answered %d %s", w.Code, w.Body)
	}
}
