package console

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/scriptfleet/scriptfleet/cmd/internal/wire"
	"github.com/scriptfleet/scriptfleet/pkg/config"
	"github.com/scriptfleet/scriptfleet/pkg/fleettest/files"
	"github.com/scriptfleet/scriptfleet/pkg/fleettest/redistest"
	"github.com/scriptfleet/scriptfleet/pkg/fleettest/stack"
	"github.com/scriptfleet/scriptfleet/pkg/ledger"
	"github.com/scriptfleet/scriptfleet/pkg/localaws"
	"github.com/scriptfleet/scriptfleet/pkg/run"
)

// served is a console for tests, which does not run: a test calls its handler.
type served struct {
	*Console
	t     *testing.T
	log   *observer.ObservedLogs
	file  string       // of the tenants' settings
	trips atomic.Int64 // what was sent to Redis
}

// serve makes a console of a fleet without processes, whose Redis is behind a
// counter.
func serve(t *testing.T, cfg Config, tenants string) *served {
	t.Helper()
	s := &served{t: t, file: files.Write(t, "tenants.json", tenants)}
	aws := stack.Start(t, localaws.Config{Prefix: "scriptfleet", Partitions: 2})
	core, seen := observer.New(zap.InfoLevel)
	s.log = seen
	settings := config.Fleet{
		Named: config.Named{Prefix: "scriptfleet"}, Partitioned: config.Partitioned{Partitions: 2}, Redis: config.Redis{RedisURL: s.redis()},
		Tenants: config.Tenants{TenantsFile: s.file}, DefaultRuntime: "python3.13", MaxTimeout: 60, MemoryMB: 256, Processor: config.Processor{Arch: "x86_64"},
	}
	fleet, err := wire.Open(t.Context(), settings, aws.AWSConfig(), zap.NewNop(), prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(fleet.Close)
	cfg.Addr = "127.0.0.1:0"
	if s.Console, err = Listen(t.Context(), cfg, Deps{Fleet: fleet, Log: zap.New(core)}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.listener.Close() })
	return s
}

// redis starts a Redis behind a proxy that counts what clients send: a command or
// a pipeline is one send, unless it is very long.
func (s *served) redis() string {
	server := redistest.Start(s.t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { l.Close() })
	go func() {
		for {
			in, err := l.Accept()
			if err != nil {
				return
			}
			out, err := net.Dial("tcp", server.Addr)
			if err != nil {
				in.Close()
				continue
			}
			go func() { defer in.Close(); _, _ = io.Copy(in, out) }()
			go func() { defer out.Close(); _, _ = io.Copy(out, counted{in, &s.trips}) }()
		}
	}()
	return "redis://" + l.Addr().String() + "/0"
}

type counted struct {
	io.Reader
	n *atomic.Int64
}

func (c counted) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	if n > 0 {
		c.n.Add(1)
	}
	return n, err
}

// ask sends a request with the key; change may change it.
func (s *served) ask(method, path string, form url.Values, change ...func(*http.Request)) *httptest.ResponseRecorder {
	s.t.Helper()
	r := httptest.NewRequestWithContext(s.t.Context(), method, path, strings.NewReader(form.Encode()))
	r.Host = s.Addr()
	if form != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	_, port, _ := net.SplitHostPort(s.Addr())
	r.AddCookie(&http.Cookie{Name: "scriptfleet-console-" + port, Value: s.key})
	for _, c := range change {
		c(r)
	}
	w := httptest.NewRecorder()
	s.server.Handler.ServeHTTP(w, r)
	return w
}

func TestOnlyWhoHasTheKeyIsServedAndNoOtherSitesPageChangesAnything(t *testing.T) {
	s := serve(t, Config{AllowRuns: true, AllowChanges: true}, "{}")
	header := func(name, value string) func(*http.Request) {
		return func(r *http.Request) { r.Header.Set(name, value) }
	}
	noKey := func(r *http.Request) { r.Header.Del("Cookie") }
	host := func(name string) func(*http.Request) { return func(r *http.Request) { r.Host = name } }
	wrongKey := func(r *http.Request) {
		cookie := r.Cookies()[0]
		r.Header.Set("Cookie", cookie.Name+"="+strings.Repeat("A", len(cookie.Value)))
	}
	pause := url.Values{"tenant": {"acme"}}
	for name, c := range map[string]struct {
		method, path string
		change       []func(*http.Request)
		status       int
	}{
		"a page":                       {"GET", "/try", nil, 200},
		"without the key":              {"GET", "/try", []func(*http.Request){noKey}, 403},
		"files without the key":        {"GET", "/static/console.js", []func(*http.Request){noKey}, 403},
		"a wrong key":                  {"GET", "/try?key=wrong", []func(*http.Request){noKey}, 403},
		"the address with the key":     {"GET", "/runs?key=" + s.key, []func(*http.Request){noKey}, 303},
		"another host":                 {"GET", "/try", []func(*http.Request){host("evil.example")}, 421},
		"another host that leads here": {"GET", "/try", []func(*http.Request){host("127.0.0.1.evil.example:80")}, 421},
		"localhost":                    {"GET", "/try", []func(*http.Request){host("localhost:1")}, 200},
		"a form without the key":       {"POST", "/tenants/pause", []func(*http.Request){noKey}, 403},
		"a form with a wrong key":      {"POST", "/tenants/pause", []func(*http.Request){wrongKey}, 403},
		"a form to another host":       {"POST", "/tenants/pause", []func(*http.Request){host("evil.example")}, 421},
		"a form of another site":       {"POST", "/tenants/pause", []func(*http.Request){header("Sec-Fetch-Site", "cross-site")}, 403},
		"a form of another port":       {"POST", "/tenants/pause", []func(*http.Request){header("Sec-Fetch-Site", "same-site")}, 403},
		"an old browser's form":        {"POST", "/tenants/pause", []func(*http.Request){header("Origin", "https://evil.example")}, 403},
		"the console's own form":       {"POST", "/tenants/pause", []func(*http.Request){header("Sec-Fetch-Site", "same-origin")}, 303},
		"no page":                      {"GET", "/etc", nil, 404},
	} {
		form := pause
		if c.method == "GET" {
			form = nil
		}
		w := s.ask(c.method, c.path, form, c.change...)
		if w.Code != c.status {
			t.Errorf("%s: status %d, not %d: %s", name, w.Code, c.status, w.Body)
		}
		h := w.Header()
		if csp := h.Get("Content-Security-Policy"); strings.Contains(csp, "unsafe") || !strings.Contains(csp, "frame-ancestors 'none'") || h.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s: its headers are %v", name, h)
		}
	}
	w := s.ask("GET", "//evil.example/x?key="+s.key, nil)
	if to := w.Header().Get("Location"); strings.HasPrefix(to, "//") || strings.Contains(to, "key=") {
		t.Errorf("the address with the key leads to %s", to)
	}
}

func TestWithoutTheFlagsNothingIsChangedAndTheFlagIsNamed(t *testing.T) {
	s := serve(t, Config{}, "{}")
	for path, flag := range map[string]string{
		"/try": "--allow-runs", "/runs/k/cancel": "--allow-changes", "/tenants/pause": "--allow-changes", "/letters/redrive": "--allow-changes",
	} {
		form := url.Values{"tenant": {"acme"}, "script": {"x"}, "letter": {"l"}, "confirmed": {"yes"}}
		if w := s.ask("POST", path, form); w.Code != http.StatusForbidden || !strings.Contains(w.Body.String(), "it was started without "+flag) {
			t.Errorf("%s: status %d, %s", path, w.Code, w.Body)
		}
	}
	if n := s.log.Len(); n != 0 {
		t.Errorf("%d changes are logged: %v", n, s.log.All())
	}
}

func TestAChangeIsLoggedWithWhomTheProxyNames(t *testing.T) {
	s := serve(t, Config{AllowChanges: true, UserHeader: "X-Forwarded-User", Hosts: []string{"console.example.com"}}, "{}")
	ann := func(r *http.Request) { r.Host = "console.example.com"; r.Header.Set("X-Forwarded-User", "ann") }
	if w := s.ask("GET", "/tenants", nil); w.Code != http.StatusForbidden {
		t.Errorf("nobody is named: status %d", w.Code)
	}
	if w := s.ask("POST", "/tenants/pause", url.Values{"tenant": {"acme"}}, ann); w.Code != http.StatusSeeOther {
		t.Fatalf("status %d: %s", w.Code, w.Body)
	}
	all := s.log.FilterMessage("console: paused a tenant").All()
	if len(all) != 1 || all[0].ContextMap()["by"] != "ann" || all[0].ContextMap()["tenant"] != "acme" {
		t.Errorf("the log has %v", s.log.All())
	}
	if w := s.ask("GET", "/tenants?state=paused", nil, ann); !strings.Contains(w.Body.String(), ">acme</a>") {
		t.Errorf("the paused tenants are %s", w.Body)
	}
}

func TestAConsoleThatOthersReachNeedsAHostAndAProxy(t *testing.T) {
	for flag, c := range map[string]Config{
		"":              {Addr: "127.0.0.1:0"},
		"--addr":        {Addr: "here"},
		"--host":        {Addr: "0.0.0.0:80", UserHeader: "X"},
		"--user-header": {Addr: "10.0.0.1:80", Hosts: []string{"h"}},
	} {
		err := c.Check()
		if (err == nil) != (flag == "") || err != nil && !strings.Contains(err.Error(), flag) {
			t.Errorf("%+v: %v", c, err)
		}
	}
}

// mostTrips is how often a page may ask Redis.
const mostTrips = 20

func TestAPageCostsRedisFewRoundTripsWithManyTenantsAndRuns(t *testing.T) {
	const tenants = 100_000
	var settings strings.Builder
	settings.WriteString(`{"defaults": {"max_running": 10}, "tenants": {`)
	for i := range tenants {
		if i > 0 {
			settings.WriteByte(',')
		}
		fmt.Fprintf(&settings, `"tenant-%06d": {}`, i)
	}
	settings.WriteString("}}")
	s := serve(t, Config{AllowRuns: true, AllowChanges: true}, settings.String())
	s.seed(tenants)
	s.ask("GET", "/fleet", nil) // the connections are then open
	key := run.KeyOf("tenant-000007", "/s", "7")
	weight := regexp.MustCompile(`/static/[^"]+`)
	for _, path := range []string{
		"/fleet", "/runs", "/runs?status=failed", "/runs?tenant=tenant-000007", "/runs?owner=author&from=50", "/runs/" + string(key) + "?tenant=tenant-000007",
		"/tenants", "/tenants?search=tenant-0000&from=50", "/tenants?state=paused", "/letters", "/try",
	} {
		before := s.trips.Load()
		w := s.ask("GET", path, nil)
		trips, size := s.trips.Load()-before, w.Body.Len()
		for _, file := range weight.FindAllString(w.Body.String(), -1) {
			size += s.ask("GET", file, nil).Body.Len()
		}
		if w.Code != http.StatusOK || trips > mostTrips || size > 200_000 {
			t.Errorf("%s: status %d, %d round trips, %d bytes with its files", path, w.Code, trips, size)
		}
	}
	s.samples.all = nil // the next page looks at the fleet itself
	before := s.trips.Load()
	if w := s.ask("GET", "/fleet", nil); w.Code != http.StatusOK || s.trips.Load()-before > mostTrips {
		t.Errorf("a first look: status %d, %d round trips", w.Code, s.trips.Load()-before)
	}
}

// seed puts an open run of each tenant, the books of a million runs and the runs
// that ended lately into Redis.
func (s *served) seed(tenants int) {
	s.t.Helper()
	client := redistest.Connect(s.t, strings.TrimSuffix(strings.TrimPrefix(s.deps.Fleet.Settings.RedisURL, "redis://"), "/0"))
	for from := 0; from < tenants; from += 5000 { // Redis serves nobody during a script
		redistest.Eval(s.t, client, `
for i = ARGV[1], ARGV[2] - 1 do
  local tenant = string.format('tenant-%06d', i)
  redis.call('HSET', 'scriptfleet:open:tenants', tenant, 10)
  redis.call('HSET', 'scriptfleet:recent', tenant, '')
  redis.call('ZADD', 'scriptfleet:open', i, 'key-' .. i)
end
redis.call('HSET', 'scriptfleet:finished', 'succeeded', 900000, 'failed', 100000)`, from, min(from+5000, tenants))
	}
	l := s.deps.Fleet.Ledger
	var claims []ledger.Claim
	for i := range 400 {
		tenant, id := fmt.Sprintf("tenant-%06d", i%8), fmt.Sprint(i)
		claims = append(claims, ledger.Claim{Entry: ledger.Entry{Key: run.KeyOf(tenant, "/s", id), Tenant: tenant, Source: "/s", ID: id}, Owner: "w/" + id})
	}
	answers, err := l.Claim(s.t.Context(), claims, time.Minute)
	if err != nil {
		s.t.Fatal(err)
	}
	var ended []ledger.Finish
	var keys []run.Key
	for i, a := range answers {
		status, owner := run.Succeeded, run.Owner("")
		if i%2 == 1 {
			status, owner = run.Failed, run.OwnerAuthor
		}
		e := a.Hold.Entry
		ended = append(ended, ledger.Finish{Hold: a.Hold, Status: status, Result: []byte("{}"), Summary: &ledger.Summary{
			Run: e.Key, Tenant: e.Tenant, Source: e.Source, ID: e.ID, Action: "<b>act", At: time.Now(), Status: status, ErrorOwner: owner, Timings: run.Timings{Execute: 5, Total: 5},
		}})
		keys = append(keys, e.Key)
	}
	if _, err := l.Finish(s.t.Context(), ended); err != nil {
		s.t.Fatal(err)
	}
	if err := l.Published(s.t.Context(), keys); err != nil {
		s.t.Fatal(err)
	}
}

func TestTheFaultOfAnInputIsPlaced(t *testing.T) {
	for text, want := range map[string]string{
		`{}`:                           "",
		"{\n  \"a\": 1,\n  \"b\" 2\n}": "3:7",
		`{"ü": ü}`:                     "1:7",
		`[1]`:                          "1:1",
		`null`:                         "1:1",
		`{"a": 1`:                      "1:8",
		``:                             "1:1",
		"{}\n{}":                       "2:1",
		`{"a": 1,}`:                    "1:9",
	} {
		got := ""
		if fault := checkInput(text); fault != nil {
			got = fmt.Sprintf("%d:%d", fault.Line, fault.Column)
		}
		if got != want {
			t.Errorf("%q has its fault at %q, not %q", text, got, want)
		}
	}
}

func TestTheCommandToCopyRunsTheSameRequest(t *testing.T) {
	f := form{Script: "def main(input):\n    return '$HOME `x` \\'\nSCRIPT", Requirements: "requests==2.32.3\nidna", Input: `{"it": "it's $HOME"}`, Tenant: "acme", Timeout: "7"}
	request, err := f.request()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	cmd := exec.Command("bash", "-c", `scriptfleet() { for a; do case $a in /dev/fd/*) cat "$a";; *) printf '%s\n' "$a";; esac; done; echo; cat; }
`+commandLine(request))
	cmd.Dir, cmd.Env = dir, []string{"HOME=" + filepath.Join(dir, "home"), "PATH=/usr/bin:/bin"}
	out, err := cmd.CombinedOutput()
	want := "run\n-\n--tenant\nacme\n--timeout\n7\n--input\n{\"it\":\"it's $HOME\"}\n--requirements\nrequests==2.32.3\nidna\n\n" + f.Script + "\n"
	if err != nil || string(out) != want {
		t.Errorf("it runs\n%s(%v), not\n%s", out, err, want)
	}
}

func TestTheLineAtFaultIsTheLastOfTheScript(t *testing.T) {
	for _, c := range []struct {
		e    run.Error
		want int
	}{
		{run.Error{Traceback: "  File \"script.py\", line 9, in main\n  File \"script.py\", line 3, in f\n  File \"/opt/python/x.py\", line 77, in g\n"}, 3},
		{run.Error{Message: "The script does not compile on python3.13: invalid syntax (script.py, line 2)."}, 2},
		{run.Error{Message: "requests==9 is not there"}, 0},
	} {
		if got := faultLine(&c.e); got != c.want {
			t.Errorf("of %q it is %d, not %d", c.e.Traceback+c.e.Message, got, c.want)
		}
	}
	lines := around("a\nb\nc", 2)
	if len(lines) != 3 || !slices.Equal([]bool{lines[0].Fault, lines[1].Fault, lines[2].Fault}, []bool{false, true, false}) {
		t.Errorf("the lines about it are %v", lines)
	}
}
