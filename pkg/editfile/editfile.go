// Package editfile changes files that other processes read: they find either the
// old contents or the new ones, also after a crash.
package editfile

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// File is what Edit reads where there is no file.
type File struct {
	Text []byte
	Mode fs.FileMode
}

// Edit replaces a file by what change makes of its contents. It holds a lock on
// the file's folder, so that edits at the same time follow each other. It
// follows a link, and keeps the file's mode. If change fails or changes
// nothing, so does Edit.
func Edit(path string, missing File, change func([]byte) ([]byte, error)) error {
	if real, err := filepath.EvalSymlinks(path); err == nil {
		path = real
	}
	unlock, err := lock(filepath.Dir(path))
	if err != nil {
		return err
	}
	defer unlock()
	now, err := read(path, missing)
	if err != nil {
		return err
	}
	text, err := change(now.Text)
	if err != nil || bytes.Equal(text, now.Text) {
		return err
	}
	return Replace(path, text, now.Mode)
}

// lock takes the lock of a folder; it ends with the process at the latest.
func lock(dir string) (unlock func(), err error) {
	f, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX); err != nil {
		_ = f.Close()
		return nil, fmt.Errorf("lock %s: %w", dir, err)
	}
	return func() { _ = f.Close() }, nil
}

func read(path string, missing File) (File, error) {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return missing, nil
	}
	if err != nil {
		return File{}, err
	}
	text, err := os.ReadFile(path)
	return File{text, info.Mode().Perm()}, err
}

// Replace writes a file beside path and renames it.
func Replace(path string, text []byte, mode fs.FileMode) error {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-*")
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(f.Name()) }()
	_, err = f.Write(text)
	if err := errors.Join(err, f.Chmod(mode), f.Sync(), f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}
