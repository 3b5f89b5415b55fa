package fleettest

import (
	"encoding/json"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/scriptfleet/scriptfleet/pkg/fleettest/process"
	"github.com/scriptfleet/scriptfleet/pkg/fleettest/redistest"
)

const nothingListens = "http://127.0.0.1:1"

// TestAProcessThatCouldNotDoItsWorkTakesNoneAndSaysWhy starts workers and
// dispatchers that each lack one thing that their start does not need.
func TestAProcessThatCouldNotDoItsWorkTakesNoneAndSaysWhy(t *testing.T) {
	t.Parallel()
	f := startStack(t)
	locked := redistest.Start(t)
	locked.Do("CONFIG", "SET", "requirepass", "right")
	noBucket := refusingS3(t, http.StatusNotFound, "NoSuchBucket")
	denied := refusingS3(t, http.StatusForbidden, "AccessDenied")
	untrusted := httptest.NewUnstartedServer(http.NotFoundHandler())
	untrusted.Config.ErrorLog = log.New(io.Discard, "", 0) // of handshakes that fail
	untrusted.StartTLS()
	t.Cleanup(untrusted.Close)

	broken := map[*process.Process][2]string{ // the part that is down, and a part of its reason
		f.workerWith([]string{"REDIS_URL=" + redistest.Start(t).URL + "99"}):                  {"redis", "out of range"},
		f.workerWith([]string{"REDIS_URL=redis://:wrong-password@" + locked.Addr}):            {"redis", "WRONGPASS"},
		f.workerWith([]string{"AWS_ENDPOINT_URL_SQS=" + untrusted.URL}):                       {"sqs", "unknown authority"},
		f.workerWith([]string{"AWS_ENDPOINT_URL_LAMBDA=" + untrusted.URL}):                    {"lambda", "unknown authority"},
		f.workerWith([]string{"AWS_ENDPOINT_URL_LAMBDA=" + nothingListens}):                   {"lambda", "connection refused"},
		f.workerWith([]string{"AWS_ENDPOINT_URL_STS=" + nothingListens}):                      {"sts", "connection refused"},
		f.workerWith([]string{"AWS_ENDPOINT_URL_S3=" + noBucket}):                             {"s3", "NoSuchBucket"},
		f.workerWith(nil, "--tenant-role-arn", "arn:aws:iam::000000000000:role/no-such-role"): {"tenant-role", "no-such-role"},
		f.workerWith(nil, "--uv", uvThatBreaks(t)):                                            {"installer", "does not run"},
		f.process("dispatcher", []string{"AWS_ENDPOINT_URL_S3=" + denied}):                    {"s3", "AccessDenied"},
		f.process("dispatcher", []string{"AWS_ENDPOINT_URL_S3=" + nothingListens}):            {"s3", "connection refused"},
	}
	for p, want := range broken {
		eventually(t, p.Name+" does not say what it lacks: "+want[0]+": "+want[1], func() bool {
			page := readyParts(t, p.Admin())
			return !page.Ready && strings.Contains(page.reason(want[0]), want[1])
		})
		if page := readyParts(t, p.Admin()); page.reason(p.Name) == "" || strings.Contains(p.Said(), p.Name+" runs") {
			t.Errorf("%s without %s takes work: %+v", p.Name, want[0], page)
		}
		if _, page := get(t, p.Admin(), "/readyz"); strings.Contains(page+p.Said(), "wrong-password") {
			t.Errorf("%s tells its password", p.Name)
		}
	}
	f.dispatcher()
	f.worker()
	f.goesOn(t)
}

// refusingS3 answers every call with an error.
func refusingS3(t *testing.T, status int, code string) (url string) {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		_, _ = io.WriteString(w, "<Error><Code>"+code+"</Code><Message>no</Message></Error>")
	}))
	t.Cleanup(server.Close)
	return server.URL
}

// uvThatBreaks is a uv that works once, when it is looked for, and then fails.
func uvThatBreaks(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "uv")
	if err := os.WriteFile(path, []byte("#!/bin/sh\nmkdir \"$0.used\" && echo uv 9.9.9\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestAFleetThatIsIdleTellsThatRedisIsAwayAndBack sends no request, so only the
// probes can find the outage.
func TestAFleetThatIsIdleTellsThatRedisIsAwayAndBack(t *testing.T) {
	t.Parallel()
	f := startStack(t)
	redis := redistest.Start(t)
	f.set["REDIS_URL"] = redis.URL
	processes := []*process.Process{f.dispatcher(), f.worker()}
	ready := func(want bool, within time.Duration) {
		t.Helper()
		began := time.Now()
		for _, p := range processes {
			eventually(t, p.Name+" has not noticed", func() bool {
				page := readyParts(t, p.Admin())
				return page.Ready == want && (page.reason("redis") == "") == want
			})
		}
		if took := time.Since(began); took > within {
			t.Errorf("ready is %t after %s", want, took)
		}
	}
	ready(true, Within)
	for range 2 {
		redis.Stop()
		ready(false, 20*time.Second)
		redis.Restart()
		ready(true, 40*time.Second)
	}
	f.goesOn(t)
	for _, p := range processes {
		if n := strings.Count(p.Said(), "a part is down"); n != 2 {
			t.Errorf("two outages are said %d times by %s", n, p.Name)
		}
	}
}

// readyPage is the JSON of /readyz.
type readyPage struct {
	Ready bool
	Parts []readyPart
}

type readyPart struct {
	Part   string
	Up     bool
	Reason string
	Since  time.Time
}

// reason is the reason why a part is down, or "".
func (p readyPage) reason(part string) string {
	for _, s := range p.Parts {
		if s.Part == part && !s.Up && !s.Since.IsZero() {
			return s.Reason
		}
	}
	return ""
}

func readyParts(t *testing.T, admin string) (page readyPage) {
	t.Helper()
	code, body := get(t, admin, "/readyz?format=json")
	if err := json.Unmarshal([]byte(body), &page); err != nil || page.Ready != (code == http.StatusOK) {
		t.Fatalf("/readyz answers %d %s: %v", code, body, err)
	}
	return page
}

// TestStackTellsHowItsPartsAreWithAFleetAndWithout looks at the admin address of
// local, whose profiles ask for a password that scripts do not have.
func TestStackTellsHowItsPartsAreWithAFleetAndWithout(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		args  []string
		parts []string
	}{
		{nil, []string{"redis", "sqs", "lambda", "dispatcher", "worker"}},
		{[]string{"--no-fleet"}, []string{"redis", "sqs", "lambda"}},
	} {
		f := launch(t, shipped, c.args...)
		admin := f.local.Admin()
		var page readyPage
		eventually(t, "local does not get ready", func() bool { page = readyParts(t, admin); return page.Ready && len(page.Parts) >= len(c.parts) })
		for _, name := range c.parts {
			if !slices.ContainsFunc(page.Parts, func(p readyPart) bool { return p.Part == name && p.Up && !p.Since.IsZero() }) {
				t.Errorf("local %v does not tell of %s: %+v", c.args, name, page)
			}
		}
		for path, want := range map[string]int{"/healthz": http.StatusOK, "/metrics": http.StatusOK, "/debug/pprof/heap": http.StatusUnauthorized} {
			if code, _ := get(t, admin, path); code != want {
				t.Errorf("GET %s of local %v: %d, not %d", path, c.args, code, want)
			}
		}
	}
}
