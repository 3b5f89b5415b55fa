package walls

import (
	"archive/zip"
	"bytes"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/lambda/types"

	"github.com/scriptfleet/scriptfleet/pkg/fleettest"
	"github.com/scriptfleet/scriptfleet/pkg/run"
)

// packed is a zip of files, by their names.
func packed(files map[string]string) []byte {
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for _, name := range slices.Sorted(maps.Keys(files)) {
		f, err := w.Create(name)
		if err == nil {
			_, err = f.Write([]byte(files[name]))
		}
		if err != nil {
			panic(err) // cannot happen: it writes to memory
		}
	}
	if err := w.Close(); err != nil {
		panic(err)
	}
	return b.Bytes()
}

func codeOf(zip []byte) *types.FunctionCode { return &types.FunctionCode{ZipFile: zip} }

func contentOf(zip []byte) *types.LayerVersionContentInput {
	return &types.LayerVersionContentInput{ZipFile: zip}
}

// index is the fleet's package index: a few packages, some of which attack the
// builder.
var index struct {
	mu    sync.Mutex
	asked []string
}

func wheel(name string, files map[string]string) []byte {
	info := name + "-1.0.dist-info/"
	all := map[string]string{
		info + "METADATA": "Metadata-Version: 2.1\nName: " + name + "\nVersion: 1.0\n",
		info + "WHEEL":    "Wheel-Version: 1.0\nGenerator: walls\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
	}
	maps.Copy(all, files)
	record := ""
	for file := range all {
		record += file + ",,\n"
	}
	all[info+"RECORD"] = record + info + "RECORD,,\n"
	return packed(all)
}

func startIndex() *httptest.Server {
	files := map[string][]byte{
		"honest-1.0-py3-none-any.whl":   wheel("honest", map[string]string{"honest.py": "VALUE = 'honest'\n"}),
		"climber-1.0-py3-none-any.whl":  wheel("climber", map[string]string{"climber.py": "", "../../../../../../tmp/walls-climbed": "x", "/tmp/walls-climbed": "x"}),
		"scripts-1.0-py3-none-any.whl":  wheel("scripts", map[string]string{"scripts.py": "", "scripts-1.0.data/data/../../../../../tmp/walls-climbed": "x"}),
		"starter-1.0-py3-none-any.whl":  wheel("starter", map[string]string{"starter.py": "", "starter.pth": "import os; open('/tmp/walls-started', 'w').write('x')\n", "sitecustomize.py": "open('/tmp/walls-started', 'w').write('x')\n"}),
		"sourceonly-1.0.tar.gz":         []byte("no archive, and nobody opens it"),
		"sourcezip-1.0.zip":             packed(map[string]string{"sourcezip-1.0/setup.py": "open('/tmp/walls-built', 'w').write('x')\n"}),
		"compiler-1.0-py3-none-any.whl": wheel("compiler", map[string]string{"compiler.py": "import os\nopen('/tmp/walls-compiled', 'w').write('x')\n"}),
	}
	return httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		index.mu.Lock()
		index.asked = append(index.asked, r.URL.Path)
		index.mu.Unlock()
		if file, is := strings.CutPrefix(r.URL.Path, "/files/"); is && files[file] != nil {
			_, _ = w.Write(files[file])
			return
		}
		name := strings.Trim(strings.TrimPrefix(r.URL.Path, "/simple/"), "/")
		w.Header().Set("Content-Type", "text/html")
		found := false
		for file := range files {
			if strings.HasPrefix(file, name+"-") {
				fmt.Fprintf(w, `<a href="/files/%s">%s</a>`, file, file)
				found = true
			}
		}
		if !found {
			http.NotFound(w, r)
		}
	}))
}

// A requirement that an installer would take for more than a package's name is
// refused before an installer sees it.
func TestARequirementIsNoWayToTheBuilder(t *testing.T) {
	stolen := filepath.Join(fleet.data, "credentials.json")
	for n, text := range []string{
		"-r " + stolen, "--requirement=" + stolen, "-c " + stolen, "-e .", "--index-url http://127.0.0.1:1/simple", "--extra-index-url=http://127.0.0.1:1", "-i http://127.0.0.1:1",
		"--find-links /", "--trusted-host x", "--no-binary :all:", "--config-settings x=y", "--target /opt",
		"honest @ file://" + stolen, "honest @ http://127.0.0.1:1/x.whl", "git+https://127.0.0.1:1/x", "file:///etc/passwd", "/etc/passwd", "./x", "../x", "~/x",
		"honest==${AWS_SECRET_ACCESS_KEY}", "$HOME", "honest # ok\n-r /etc/passwd", "honest \\\n-r /etc/passwd", "honest\r-r /etc/passwd", "honest; python_version > '3'\x0b--pre",
		"honest --hash=sha256:" + strings.Repeat("0", 64), "honest==1.0 --global-option=x", "\ufeff-r /etc/passwd", "honest\u2028-r /etc/passwd", "c:\\x",
	} {
		id := fmt.Sprintf("%s-%d", t.Name(), n)
		fleet.Send(t, fleettest.Request(tenantA, id, fleettest.Data{Script: hello, Requirements: text}))
		res := fleet.AwaitOf(t, tenantA, id)
		if res.Data.Status != run.Rejected || res.Data.Error.Owner != run.OwnerAuthor {
			t.Errorf("%q: %s", text, res.Body)
		}
	}
	index.mu.Lock()
	defer index.mu.Unlock()
	if asked := strings.Join(index.asked, " "); strings.Contains(asked, "SECRET") || strings.Contains(asked, "secret") {
		t.Errorf("the index was asked for %s", asked)
	}
}

func TestABuildRunsNoCodeAndLeavesNothing(t *testing.T) {
	res := runAs(t, tenantA, fleettest.Data{Script: "import honest\ndef main(input):\n    return honest.VALUE\n", Requirements: "honest==1.0"})
	if string(res.Data.Output) != `"honest"` {
		t.Fatalf("the rightful build: %s", res.Body)
	}
	for _, name := range []string{"climber", "scripts", "starter", "sourceonly", "sourcezip", "compiler"} {
		res := runAs(t, tenantA, fleettest.Data{Script: hello + "# " + name, Requirements: name + "==1.0"})
		if source := strings.HasPrefix(name, "source"); source && res.Data.Status != run.BuildFailed {
			t.Errorf("%s: %s", name, res.Body)
		}
		holdsNoSecret(t, "the build of "+name, string(res.Body))
	}
	left, _ := filepath.Glob("/tmp/walls-[a-z]*ed")
	for _, file := range left {
		if err := os.Remove(file); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("a build has left %s", file)
		}
	}
}
