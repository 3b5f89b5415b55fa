package editfile

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
)

func TestEditsAtTheSameTimeFollowEachOther(t *testing.T) {
	path := filepath.Join(t.TempDir(), "count")
	const edits = 50
	var running sync.WaitGroup
	for range edits {
		running.Go(func() {
			err := Edit(path, File{Text: []byte("0"), Mode: 0o640}, func(text []byte) ([]byte, error) {
				n, err := strconv.Atoi(string(text))
				return []byte(strconv.Itoa(n + 1)), err
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	running.Wait()
	text, err := os.ReadFile(path)
	if err != nil || string(text) != strconv.Itoa(edits) {
		t.Errorf("after %d edits the file has %q, %v", edits, text, err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o640 {
		t.Errorf("its mode is %v, %v", info.Mode(), err)
	}
}

func TestAnEditThatFailsChangesNothingAndLeavesNothing(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "settings")
	if err := os.WriteFile(path, []byte("old"), 0o600); err != nil {
		t.Fatal(err)
	}
	refused := errors.New("refused")
	if err := Edit(path, File{}, func([]byte) ([]byte, error) { return []byte("new"), refused }); !errors.Is(err, refused) {
		t.Errorf("Edit says %v", err)
	}
	text, err := os.ReadFile(path)
	if err != nil || string(text) != "old" {
		t.Errorf("the file has %q, %v", text, err)
	}
	if all, err := os.ReadDir(dir); err != nil || len(all) != 1 {
		t.Errorf("the folder has %v, %v", all, err)
	}
}

func TestAnEditFollowsALink(t *testing.T) {
	dir := t.TempDir()
	real, link := filepath.Join(dir, "real"), filepath.Join(dir, "link")
	if err := errors.Join(os.WriteFile(real, []byte("old"), 0o600), os.Symlink(real, link)); err != nil {
		t.Fatal(err)
	}
	if err := Edit(link, File{}, func([]byte) ([]byte, error) { return []byte("new"), nil }); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(real)
	if err != nil || string(text) != "new" {
		t.Errorf("the file behind the link has %q, %v", text, err)
	}
}
