package layer

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
)

func TestALayerHasNoFilesForHelpPages(t *testing.T) {
	root := t.TempDir()
	for name, content := range map[string]string{
		"awscli/__main__.py": "", "awscli/examples/s3/ls.rst": "help", "awscli/topics/s3-faq.rst": "help", "mine/examples/one.py": "",
		"awscli-1.dist-info/RECORD": "awscli/__main__.py,,\nawscli/examples/s3/ls.rst,,\n",
	} {
		path := filepath.Join(root, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	found, err := readTree(root)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, f := range found {
		names = append(names, f.name)
		if f.name == "awscli-1.dist-info/RECORD" && string(f.content) != "awscli/__main__.py,,\n" {
			t.Errorf("RECORD is %q", f.content)
		}
	}
	if want := []string{"awscli-1.dist-info/RECORD", "awscli/__main__.py", "mine/examples/one.py"}; !slices.Equal(names, want) {
		t.Errorf("the layer has %v, not %v", names, want)
	}
}
