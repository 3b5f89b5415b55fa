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
