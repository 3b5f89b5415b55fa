package tenant

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/scriptfleet/scriptfleet/pkg/credential"
)

const theirs = "arn:aws:iam::111111111111:role/theirs"

func set(tenant, name string, runtimes ...string) func(*Draft) error {
	return func(d *Draft) error {
		return d.SetCredential(tenant, name, credential.Role{ARN: theirs, ExternalID: "0123456789abcdef", Runtimes: runtimes})
	}
}

func TestAnEditKeepsWhatItDoesNotChange(t *testing.T) {
	path := filepath.Join(t.TempDir(), "tenants.json")
	before := `{"unknown":"refuse","tenants":{"zeta":{"weight":4},"acme":{"credentials":{"old":{"role_arn":"arn:aws:iam::222222222222:role/a@b"}},
		"external_id":"0123456789abcdef","max_running":7}},"defaults":{"weight":2}}`
	if err := os.WriteFile(path, []byte(before), 0o640); err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(t.TempDir(), "link.json")
	if err := os.Symlink(path, link); err != nil {
		t.Fatal(err)
	}
	if err := Edit(link, set("acme", "cli <only>", "aws-cli")); err != nil {
		t.Fatal(err)
	}
	want := `{
  "unknown": "refuse",
  "tenants": {
    "zeta": {
      "weight": 4
    },
    "acme": {
      "credentials": {
        "old": {
          "role_arn": "arn:aws:iam::222222222222:role/a@b"
        },
        "cli <only>": {
          "role_arn": "arn:aws:iam::111111111111:role/theirs",
          "runtimes": [
            "aws-cli"
          ]
        }
      },
      "external_id": "0123456789abcdef",
      "max_running": 7
    }
  },
  "defaults": {
    "weight": 2
  }
}
`
	got, err := os.ReadFile(path)
	if err != nil || string(got) != want {
		t.Errorf("%v, the file is %s", err, got)
	}
	if info, err := os.Lstat(path); err != nil || info.Mode().Perm() != 0o640 {
		t.Errorf("its mode is %v, %v", info.Mode(), err)
	}
	if info, err := os.Lstat(link); err != nil || info.Mode().IsRegular() {
		t.Errorf("the link was replaced: %v, %v", info.Mode(), err)
	}
	if left, _ := filepath.Glob(filepath.Join(filepath.Dir(path), ".*")); len(left) > 0 {
		t.Errorf("%v is left", left)
	}
}

func TestAnEditThatIsRefusedChangesNothing(t *testing.T) {
	for name, c := range map[string]struct {
		file   string
		change func(*Draft) error
		says   string
	}{
		"of a faulty file":         {`{"tenants":{"acme":{"wait":1}}}`, set("acme", "prod"), "tenants.acme.wait"},
		"of no tenant":             {`{}`, set("No Tenant", "prod"), "No Tenant"},
		"of no credential":         {`{}`, set("acme", ""), "128 bytes"},
		"to a role that is none":   {`{}`, func(d *Draft) error { return d.SetCredential("acme", "prod", credential.Role{ARN: "x"}) }, "external_id"},
		"that removes what is not": {`{}`, func(d *Draft) error { return d.RemoveCredential("acme", "prod") }, "no credential"},
	} {
		path := filepath.Join(t.TempDir(), "tenants.json")
		if err := os.WriteFile(path, []byte(c.file), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := Edit(path, c.change); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("an edit %s: %v", name, err)
		}
		if got, _ := os.ReadFile(path); string(got) != c.file {
			t.Errorf("an edit %s leaves %s", name, got)
		}
	}
}

func TestEditsAtTheSameTimeAreAllKept(t *testing.T) {
	path := filepath.Join(t.TempDir(), "tenants.json")
	var wg sync.WaitGroup
	for n := range 30 {
		wg.Go(func() {
			if err := Edit(path, set("acme", fmt.Sprint("c", n))); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if err := Edit(path, func(d *Draft) error {
		if n := len(d.Settings().Credentials()); n != 30 || d.ExternalID("acme") == "" {
			t.Errorf("%d credentials of 30 are there", n)
		}
		return d.RemoveCredential("acme", "c7")
	}); err != nil {
		t.Fatal(err)
	}
	if err := Edit(path, func(d *Draft) error {
		if n := len(d.Settings().Credentials()); n != 29 || d.ExternalID("acme") == "" {
			t.Errorf("%d credentials of 29 are left", n)
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
}

func TestAPauseKeepsTheLimitsAndEndsAlone(t *testing.T) {
	path := filepath.Join(t.TempDir(), "tenants.json")
	if err := os.WriteFile(path, []byte(`{"tenants":{"acme":{"max_running":7,"weight":3},"stopped":{"max_running":0}}}`), 0o600); err != nil {
		t.Fatal(err)
	}
	limits := func(tenant string) Limits {
		t.Helper()
		f, err := New(Config{Path: path}, Deps{})
		if err != nil {
			t.Fatal(err)
		}
		return f.Limits(tenant)
	}
	edit := func(act func(*Draft, string) error, tenant, wrong string) {
		t.Helper()
		err := Edit(path, func(d *Draft) error { return act(d, tenant) })
		if wrong == "" && err != nil || wrong != "" && (err == nil || !strings.Contains(err.Error(), wrong)) {
			t.Errorf("%s: %v, want %q", tenant, err, wrong)
		}
	}
	before := limits("acme")
	for range 2 {
		edit((*Draft).Pause, "acme", "")
		if got := limits("acme"); !got.Paused || got.MaxRunning != 0 || got.Weight != 3 {
			t.Errorf("paused, its limits are %+v", got)
		}
	}
	edit((*Draft).Resume, "acme", "")
	if got := limits("acme"); got != before {
		t.Errorf("its limits are %+v after the pause, and were %+v", got, before)
	}
	edit((*Draft).Resume, "acme", "it is not paused")
	edit((*Draft).Resume, "stopped", "its max_running is 0")
	edit((*Draft).Pause, "no tenant", "a tenant's name is")
	edit((*Draft).Pause, "new", "")
	if got := limits("new"); !got.Paused || got.MaxRunning != 0 {
		t.Errorf("of a tenant that the file did not name: %+v", got)
	}
	if err := os.WriteFile(path, []byte(`{"unknown":"refuse"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	edit((*Draft).Pause, "unknown", "the file does not name it")
}
