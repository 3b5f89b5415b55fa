package localaws

import (
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// scratch is a folder below os.TempDir. A file lock shows that its process is
// alive: the kernel drops it when the process ends, however it ends.
type scratch struct {
	dir  string
	lock *os.File // the opened folder
}

const scratchPrefix = "scriptfleet-local-"

// scratchGrace is the age below which an unlocked folder may be about to be
// locked.
const scratchGrace = time.Minute

// newScratch makes a folder, and removes folders of processes that crashed.
func newScratch() (*scratch, error) {
	sweepScratch(os.TempDir(), time.Now().Add(-scratchGrace))
	dir, err := os.MkdirTemp("", scratchPrefix)
	if err != nil {
		return nil, fmt.Errorf("make scratch folder: %w", err)
	}
	lock, err := lockFolder(dir)
	if err != nil {
		_ = os.RemoveAll(dir)
		return nil, fmt.Errorf("lock scratch folder: %w", err)
	}
	return &scratch{dir, lock}, nil
}

func (s *scratch) remove() error {
	defer func() { _ = s.lock.Close() }()
	return os.RemoveAll(s.dir)
}

// sweepScratch removes unlocked folders that were made before a time. Folders
// of other users stay.
func sweepScratch(in string, before time.Time) {
	found, _ := filepath.Glob(filepath.Join(in, scratchPrefix+"*"))
	for _, dir := range found {
		info, err := os.Lstat(dir)
		if err != nil || !info.IsDir() || info.ModTime().After(before) {
			continue
		}
		lock, err := lockFolder(dir)
		if err != nil {
			continue
		}
		_ = os.RemoveAll(dir)
		_ = lock.Close()
	}
}

// lockFolder fails if another process has the lock.
func lockFolder(dir string) (*os.File, error) {
	f, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		_ = f.Close()
		return nil, err
	}
	return f, nil
}
