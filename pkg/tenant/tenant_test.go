package tenant

import (
	"bytes"
	"context"
	_ "embed"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
)

//go:embed settings.schema.json
var schemaJSON []byte

const example = `{
  "unknown": "refuse",
  "tenants": {
    "acme": { "max_running": 200, "weight": 4, "external_id": "5f0c1d2e3f405162",
              "credentials": { "aws-prod": { "role_arn": "arn:aws:iam::123456789012:role/scriptfleet", "runtimes": ["aws-cli"] } },
              "package_index": { "url": "https://pypi.acme.example/simple/", "secret": "env:ACME_INDEX", "public": "never" } },
    "quiet": {}
  },
  "defaults": { "max_running": 7, "memory_mb": 512 }
}`

func TestATenantHasItsOwnThenTheFilesThenOurDefaults(t *testing.T) {
	s, err := Parse([]byte(example))
	if err != nil {
		t.Fatal(err)
	}
	want := Defaults
	want.MaxRunning, want.Weight, want.MemoryMB = 200, 4, 512
	if got := s.Limits("acme"); got != want || s.Admit("acme") != nil {
		t.Errorf("acme: %+v, %v", got, s.Admit("acme"))
	}
	want = Defaults
	want.MaxRunning, want.MemoryMB = 7, 512
	if got := s.Limits("quiet"); got != want || s.Admit("quiet") != nil {
		t.Errorf("quiet: %+v, %v", got, s.Admit("quiet"))
	}
	if got := s.Limits("other"); got != want || s.Admit("other") == nil {
		t.Errorf("other: %+v, %v", got, s.Admit("other"))
	}
	if none := new(Settings); none.Limits("anybody") != Defaults || none.Admit("anybody") != nil {
		t.Errorf("no file: %+v", none.Limits("anybody"))
	}
}

func TestATenantHasItsOwnPackageIndexAlone(t *testing.T) {
	s, err := Parse([]byte(example))
	if err != nil {
		t.Fatal(err)
	}
	want := Index{URL: "https://pypi.acme.example/simple/", Secret: "env:ACME_INDEX"}
	if got, ok := s.Index("acme"); !ok || got != want {
		t.Errorf("acme: %+v", got)
	}
	if got, ok := s.Index("quiet"); ok {
		t.Errorf("quiet: %+v", got)
	}
	s, err = Parse([]byte(`{"tenants":{"acme":{"package_index":{"url":"https://pypi.acme.example/simple/"}}}}`))
	if err != nil {
		t.Fatal(err)
	}
	if open, _ := s.Index("acme"); !open.Public || open.Name() == want.Name() {
		t.Errorf("by default: %+v, named %q", open, open.Name())
	}
}

func TestZeroIsNoneAndAbsentIsTheDefault(t *testing.T) {
	s, err := Parse([]byte(`{"tenants":{"stopped":{"max_running":0,"max_backlog":0},"plain":{}}}`))
	if err != nil {
		t.Fatal(err)
	}
	if got := s.Limits("stopped"); got.MaxRunning != 0 || got.MaxBacklog != 0 {
		t.Errorf("stopped: %+v", got)
	}
	if got := s.Limits("plain"); got != Defaults {
		t.Errorf("plain: %+v", got)
	}
	// 0 is refused where it makes no sense as a limit.
	for _, name := range []string{"max_running_per_script", "weight", "partitions", "memory_mb"} {
		if _, err := Parse(fmt.Appendf(nil, `{"defaults":{%q:0}}`, name)); err == nil {
			t.Errorf("%s: 0 is taken", name)
		}
	}
}

func TestATenantFindsItsOwnCredentialsAlone(t *testing.T) {
	s, err := Parse([]byte(example))
	if err != nil {
		t.Fatal(err)
	}
	if r, ok := s.Role("acme", "aws-prod"); !ok || r.ExternalID != "5f0c1d2e3f405162" || !strings.HasSuffix(r.ARN, "role/scriptfleet") || !slices.Equal(r.Runtimes, []string{"aws-cli"}) {
		t.Errorf("acme: %v %+v", ok, r)
	}
	for _, c := range [][2]string{{"quiet", "aws-prod"}, {"other", "aws-prod"}, {"acme", "aws"}, {"acme", ""}} {
		if r, ok := s.Role(c[0], c[1]); ok || r.ARN != "" {
			t.Errorf("%s finds %s: %+v", c[0], c[1], r)
		}
	}
}

// faulty maps faulty files to the field that the error has to name.
var faulty = map[string]string{
	`{"denied_packages":{"packages":{"requests>=2":""}}}`:                                        "denied_packages.packages.requests>=2",
	`{"denied_packages":{"packages":{"requests":1}}}`:                                            "denied_packages.packages.requests",
	`{"denied_packages":{"ask":"a\nb"}}`:                                                         "denied_packages.ask",
	`{"denied_packages":["requests"]}`:                                                           "denied_packages",
	`{"tenants":{"acme":{"package_index":{"secret":"env:A"}}}}`:                                  "tenants.acme.package_index.url",
	`{"tenants":{"acme":{"package_index":{"url":"https://u:p@a.example/simple/"}}}}`:             "tenants.acme.package_index.url",
	`{"tenants":{"acme":{"package_index":{"url":"ftp://a.example/"}}}}`:                          "tenants.acme.package_index.url",
	`{"tenants":{"acme":{"package_index":{"url":"https://a.example/","secret":"hunter2"}}}}`:     "tenants.acme.package_index.secret",
	`{"tenants":{"acme":{"package_index":{"url":"https://a.example/","public":"first"}}}}`:       "tenants.acme.package_index.public",
	`{"tenants":{"acme":{"package_index":{"url":"https://a.example/","token":"hunter2"}}}}`:      "tenants.acme.package_index.token",
	`{"tenants":{"acme":{"max_runing":1}}}`:                                                      "tenants.acme.max_runing",
	`{"tenants":{"acme":{"max_running":"20"}}}`:                                                  "tenants.acme.max_running",
	`{"tenants":{"acme":{"max_running":-1}}}`:                                                    "tenants.acme.max_running",
	`{"tenants":{"acme":{"max_running":1.5}}}`:                                                   "tenants.acme.max_running",
	`{"tenants":{"acme":{"max_running":null}}}`:                                                  "tenants.acme.max_running",
	`{"tenants":{"acme":{"weight":0}}}`:                                                          "tenants.acme.weight",
	`{"tenants":{"acme":{"memory_mb":64}}}`:                                                      "tenants.acme.memory_mb",
	`{"tenants":{"acme":[]}}`:                                                                    "tenants.acme",
	`{"tenants":{"Acme":{}}}`:                                                                    "tenants.Acme",
	`{"tenants":{"acme":{},"acme":{}}}`:                                                          "tenants.acme",
	`{"tenants":{"acme":{"weight":1,"weight":2}}}`:                                               "tenants.acme.weight",
	`{"tenants":{"acme":{"external_id":"short"}}}`:                                               "tenants.acme.external_id",
	`{"tenants":{"acme":{"credentials":{"a":{"role_arn":"arn:aws:iam::1:role/x"}}}}}`:            "tenants.acme.credentials.a.role_arn",
	`{"tenants":{"acme":{"credentials":{"a":{}}}}}`:                                              "tenants.acme.credentials.a.role_arn",
	`{"tenants":{"acme":{"credentials":{"a":{"runtimes":"aws-cli"}}}}}`:                          "tenants.acme.credentials.a.runtimes",
	`{"tenants":{"acme":{"credentials":{"a":{"runtimes":[""]}}}}}`:                               "tenants.acme.credentials.a.runtimes",
	`{"tenants":{"acme":{"credentials":{"a":{"runtimes":[[]]}}}}}`:                               "tenants.acme.credentials.a.runtimes",
	`{"tenants":{"acme":{"credentials":{"a":{"role_arn":"arn:aws:iam::123456789012:role/x"}}}}}`: "tenants.acme.external_id",
	`{"defaults":{"external_id":"5f0c1d2e3f405162"}}`:                                            "defaults.external_id",
	`{"unknown":"maybe"}`:                                                                        "unknown",
	`{"tenant":{}}`:                                                                              "tenant",
	`{"tenants":{"acme":{"weight":1}`:                                                            "tenants",
	`{} {}`:                                                                                      "follows",
	`[]`:                                                                                         "object",
	``:                                                                                           "ends",
	"{\"unknown\":\"\xff\"}":                                                                     "UTF-8",
}

func TestAFaultyFileNamesTheFieldAtFault(t *testing.T) {
	for file, field := range faulty {
		if _, err := Parse([]byte(file)); err == nil || !strings.Contains(err.Error(), field) {
			t.Errorf("%s: got %v, want %s named", file, err, field)
		}
	}
}

func schema(t testing.TB) *jsonschema.Schema {
	t.Helper()
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(schemaJSON))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("settings.schema.json", doc); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile("settings.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestEveryLimitIsInTheTableAndInTheSchema(t *testing.T) {
	var file struct {
		Defs struct {
			Limits struct {
				Properties map[string]struct{ Minimum, Maximum int }
			}
		} `json:"$defs"`
	}
	if err := json.Unmarshal(schemaJSON, &file); err != nil {
		t.Fatal(err)
	}
	schema := file.Defs.Limits.Properties
	at := map[*int]string{}
	var l Limits
	for _, f := range fields {
		at[f.at(&l)] = f.name
		if got := schema[f.name]; got.Minimum != f.least || got.Maximum != f.most {
			t.Errorf("%s: %d to %d in the table, %d to %d in the schema", f.name, f.least, f.most, got.Minimum, got.Maximum)
		}
	}
	n := reflect.TypeFor[Limits]().NumField() - 1 // Paused is no limit of its own
	if len(at) != n || len(schema) != n {
		t.Errorf("%d limits, %d in the table, %d in the schema", n, len(at), len(schema))
	}
}

func TestTheSchemaAgreesWithTheParser(t *testing.T) {
	s := schema(t)
	accepts := func(file string) bool {
		v, err := jsonschema.UnmarshalJSON(strings.NewReader(file))
		return err == nil && s.Validate(v) == nil
	}
	if !accepts(example) || !accepts(`{}`) {
		t.Error("the schema refuses a good file")
	}
	for file := range faulty {
		// A decoder drops the first of two equal names before the schema is
		// applied.
		if accepts(file) && !strings.Contains(file, `"acme":{},"acme"`) && !strings.Contains(file, `"weight":1,"weight"`) && file != "{\"unknown\":\"\xff\"}" {
			t.Errorf("the schema accepts %s", file)
		}
	}
}

func TestAFileIsFollowedAndAFaultyOneIsNot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "tenants.json")
		write := func(content string) {
			t.Helper()
			if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
			// The file system does not use the bubble's clock.
			if err := os.Chtimes(path, time.Now(), time.Now()); err != nil {
				t.Fatal(err)
			}
			time.Sleep(6 * time.Second)
		}
		write(`{"defaults":{"max_running":1}}`)
		logs, seen := observer.New(zap.ErrorLevel)
		reg := prometheus.NewRegistry()
		f, err := New(Config{Path: path}, Deps{Log: zap.New(logs), Registerer: reg})
		if err != nil {
			t.Fatal(err)
		}
		go func() { _ = f.Run(t.Context()) }()
		running := func() int { return f.Limits("acme").MaxRunning }
		held := f.Settings()

		write(`{"defaults":{"max_running":2}}`)
		if got := running(); got != 2 {
			t.Errorf("max_running is %d after the change, want 2", got)
		}
		if held.Limits("acme").MaxRunning != 1 {
			t.Error("settings that were handed out changed")
		}
		write(`{"defaults":{"max_running":"three"}}`)
		time.Sleep(time.Minute)
		if running() != 2 || seen.Len() != 1 || testutil.ToFloat64(f.faulty) != 1 {
			t.Errorf("faulty file: max_running %d, %d errors said, metric %v", running(), seen.Len(), testutil.ToFloat64(f.faulty))
		}
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		time.Sleep(6 * time.Second)
		if running() != 2 || seen.Len() != 2 {
			t.Errorf("missing file: max_running %d, %d errors said", running(), seen.Len())
		}
		write(`{"defaults":{"max_running":4}}`)
		if running() != 4 || testutil.ToFloat64(f.faulty) != 0 {
			t.Errorf("mended file: max_running %d, metric %v", running(), testutil.ToFloat64(f.faulty))
		}
	})
}

func TestAFleetDoesNotStartOnAFaultyFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "tenants.json")
	if _, err := New(Config{Path: path}, Deps{}); err == nil {
		t.Error("a missing file was taken")
	}
	if err := os.WriteFile(path, []byte(`{`), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := New(Config{Path: path}, Deps{}); err == nil {
		t.Error("a faulty file was taken")
	}
}

func manyTenants(n int) []byte {
	var b bytes.Buffer
	b.WriteString(`{"tenants":{`)
	for i := range n {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `"tenant-%d":{"max_running":%d,"weight":2}`, i, i%100)
	}
	b.WriteString(`}}`)
	return b.Bytes()
}

func TestATenantInTheFileTakesLessThan150Bytes(t *testing.T) {
	const n = 20_000
	file := manyTenants(n)
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	s, err := Parse(file)
	if err != nil {
		t.Fatal(err)
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	each := (int64(after.HeapAlloc) - int64(before.HeapAlloc)) / n
	t.Logf("%d bytes a tenant", each)
	if each > 150 {
		t.Errorf("%d bytes a tenant", each)
	}
	if got := s.Limits("tenant-19999"); got.MaxRunning != 99 {
		t.Errorf("tenant-19999: %+v", got)
	}
	runtime.KeepAlive(file)
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(example))
	for file := range faulty {
		f.Add([]byte(file))
	}
	s := schema(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		settings, err := Parse(data)
		if err != nil {
			return
		}
		v, err := jsonschema.UnmarshalJSON(bytes.NewReader(data))
		if err != nil {
			t.Fatalf("taken, and no JSON: %v", err)
		}
		if err := s.Validate(v); err != nil {
			t.Fatalf("taken against the schema: %v", err)
		}
		for name := range settings.tenants {
			if got := settings.Limits(name); got.Weight < 1 || got.Partitions < 1 {
				t.Fatalf("%s: %+v", name, got)
			}
		}
	})
}

func BenchmarkLimits(b *testing.B) {
	s, err := Parse(manyTenants(1000))
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		s.Limits("tenant-500")
	}
}

func BenchmarkParse100000(b *testing.B) {
	file := manyTenants(100_000)
	for b.Loop() {
		if _, err := Parse(file); err != nil {
			b.Fatal(err)
		}
	}
}

func TestWhoWatchesIsToldTheSettingsInUseAndEachChange(t *testing.T) {
	path := filepath.Join(t.TempDir(), "tenants.json")
	write := func(tenant string) {
		text := fmt.Sprintf(`{"tenants":{%q:{"external_id":"0123456789abcdef-%s","credentials":{"prod":{"role_arn":"arn:aws:iam::111111111111:role/shared"}}},"plain":{}}}`, tenant, tenant)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("acme")
	f, err := New(Config{Path: path, Every: time.Millisecond}, Deps{})
	if err != nil {
		t.Fatal(err)
	}
	told := make(chan []Credential, 10)
	f.Watch(func(s *Settings) { told <- s.Credentials() })
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- f.Run(ctx) }()
	for _, tenant := range []string{"acme", "another"} {
		if tenant != "acme" {
			write(tenant)
		}
		if roles := <-told; len(roles) != 1 || roles[0].ExternalID != "0123456789abcdef-"+tenant {
			t.Errorf("told %v of %s", roles, tenant)
		}
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}
