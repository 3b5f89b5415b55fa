package main

import (
	"path/filepath"
	"strings"
	"testing"
)

func TestADifferenceShowsTheLinesThatChanged(t *testing.T) {
	for _, c := range []struct{ before, after, want string }{
		{"a\nb\nc\n", "a\nb\nc\n", ""},
		{"a\nb\nc\n", "a\nB\nc\n", "--- script\n@@ line 2 @@\n-b\n+B\n"},
		{"", "a\n", "--- script\n@@ line 1 @@\n+a\n"},
		{"a\n", "a", "--- script\n@@ line 1 @@\n-a\n+a\n"},
		{"1\n2\n3\n4\n5\n", "1\n3\n4\nx\n5\n6\n", "--- script\n@@ line 2 @@\n-2\n@@ line 4 @@\n+x\n@@ line 6 @@\n+6\n"},
	} {
		if got := difference("script", c.before, c.after); got != c.want {
			t.Errorf("from %q to %q: %q, want %q", c.before, c.after, got, c.want)
		}
	}
	many := strings.Repeat("x\n", 3000)
	if got := difference("script", "a\n"+many+"b\n", "c\n"+strings.ReplaceAll(many, "x", "y")+"d\n"); strings.Count(got, "\n") != 2*3002+2 {
		t.Errorf("a large difference has %d lines", strings.Count(got, "\n"))
	}
}

const goodFolder = "tenant = \"acme\"\n[[script]]\nid = \"a\"\nfile = \"a.py\"\n"

func TestAFolderIsRefusedWithWhatIsWrong(t *testing.T) {
	if f, err := parseFolder(goodFolder); err != nil || len(f.Scripts) != 1 {
		t.Fatalf("%+v, %v", f, err)
	}
	for text, says := range map[string]string{
		"":                                    "lists no script",
		"tenant = 1":                          "tenant",
		goodFolder + "timout = 3":             "script.timout is no setting",
		goodFolder + "[[script]]\nid = \"b\"": "[[script]] 2 has no id or no file",
		goodFolder + goodFolder[len("tenant = \"acme\"\n"):]:  "a is there twice",
		strings.Replace(goodFolder, "a.py", "../a.py", 1):     "outside of the folder",
		strings.Replace(goodFolder, "a.py", "/etc/passwd", 1): "outside of the folder",
		goodFolder + "requirements = \"../r.txt\"":            "outside of the folder",
	} {
		if _, err := parseFolder(text); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%q: %v, want %q", text, err, says)
		}
	}
}

func FuzzNoFolderNamesAFileOutside(f *testing.F) {
	f.Add(goodFolder)
	f.Add("[[script]]\nid='a'\nfile='b/../../c'\nrequirements='x'")
	f.Fuzz(func(t *testing.T, text string) {
		folder, err := parseFolder(text)
		if err != nil {
			return
		}
		for _, s := range folder.Scripts {
			if !filepath.IsLocal(s.File) || s.Requirements != "" && !filepath.IsLocal(s.Requirements) {
				t.Errorf("%q names %q and %q", text, s.File, s.Requirements)
			}
		}
	})
}
