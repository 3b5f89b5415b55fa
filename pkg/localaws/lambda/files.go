package lambda

import (
	"archive/zip"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sync/singleflight"
	"golang.org/x/sys/unix"
)

// maxUnzipped is the limit of a function's code and layers together, unpacked.
const maxUnzipped = 250 << 20

// files stores zips and their unpacked contents, each under the digest of its
// contents. So the same zip is stored and unpacked once, also across restarts.
// A path that exists is complete, because it was renamed to its place.
type files struct {
	zips, unpacked, runtime string
	lasting                 bool // a later process uses them

	layers  string // folder of unpacked layers: shared between processes, or else the same as unpacked
	flights singleflight.Group
}

// blob is a stored zip.
type blob struct {
	SHA      string // in hexadecimal
	Size     int64
	Unzipped int64
}

func newFiles(dir, cache string) (*files, error) {
	if dir == "" {
		return nil, errors.New("lambda: Config.Dir is empty")
	}
	f := &files{zips: filepath.Join(dir, "zips"), runtime: filepath.Join(dir, "runtime"), unpacked: filepath.Join(dir, "unpacked")}
	f.layers = f.unpacked
	if cache != "" {
		f.layers = cache
	}
	for _, d := range []string{f.zips, f.unpacked, f.layers} {
		if err := os.MkdirAll(d, 0o755); err != nil {
			return nil, fmt.Errorf("make directory: %w", err)
		}
	}
	return f, writeBootstrap(f.runtime)
}

func blobOf(data []byte) blob {
	sum := sha256.Sum256(data)
	return blob{SHA: hex.EncodeToString(sum[:]), Size: int64(len(data))}
}

// keep checks a zip by its directory, fills in the sizes of b, and stores it.
func (f *files) keep(b *blob, data []byte) error {
	r, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		return invalid("Could not unzip uploaded file. Please check your file, then try to upload again.")
	}
	for _, e := range r.File {
		b.Unzipped += int64(min(e.UncompressedSize64, 1<<40))
		if !filepath.IsLocal(strings.TrimSuffix(e.Name, "/")) || strings.Contains(e.Name, `\`) {
			return invalid("Could not unzip uploaded file: the entry %q leads out of it.", e.Name)
		}
	}
	if b.Unzipped > maxUnzipped {
		return invalid("Unzipped size must be smaller than %d bytes", maxUnzipped)
	}
	if _, err := os.Stat(f.zip(*b)); err == nil {
		return nil
	}
	return writeAtomically(f.zip(*b), data, f.lasting)
}

func (f *files) zip(b blob) string { return filepath.Join(f.zips, b.SHA+".zip") }

// code unpacks a function's code and returns its folder.
func (f *files) code(b blob) (string, error) { return f.directory(f.unpacked, b) }

// merged unpacks layers into one folder, in their order, and returns it.
func (f *files) merged(blobs ...blob) (string, error) { return f.directory(f.layers, blobs...) }

func (f *files) directory(root string, blobs ...blob) (string, error) {
	path := filepath.Join(root, digest(blobs))
	_, err, _ := f.flights.Do(path, func() (any, error) {
		if _, err := os.Stat(path); err == nil {
			return nil, nil
		}
		return nil, f.unpack(path, blobs)
	})
	return path, err
}

// digest is the name of the folder for unpacked zips.
func digest(blobs []blob) string {
	if len(blobs) == 1 {
		return blobs[0].SHA
	}
	h := sha256.New()
	for _, b := range blobs {
		_, _ = io.WriteString(h, b.SHA+"\n")
	}
	return hex.EncodeToString(h.Sum(nil))
}

func (f *files) unpack(path string, blobs []blob) error {
	tmp, err := os.MkdirTemp(filepath.Dir(path), ".unpack-")
	if err != nil {
		return fmt.Errorf("unpack: %w", err)
	}
	defer os.RemoveAll(tmp)
	if err := os.Chmod(tmp, 0o755); err != nil {
		return fmt.Errorf("unpack: %w", err)
	}
	left := int64(maxUnzipped)
	for _, b := range blobs {
		if err := extract(f.zip(b), tmp, &left); err != nil {
			return fmt.Errorf("unpack %s: %w", b.SHA, err)
		}
	}
	err = os.Rename(tmp, path)
	if errors.Is(err, fs.ErrExist) || errors.Is(err, unix.ENOTEMPTY) {
		return nil // another process was faster
	}
	return err
}

// extract unpacks a zip. It does not trust the sizes in the zip's directory:
// left is the number of bytes that may still be written.
func extract(zipPath, dir string, left *int64) error {
	r, err := zip.OpenReader(zipPath)
	if err != nil {
		return err
	}
	defer r.Close()
	root, err := os.OpenRoot(dir) // no entry, and no link in the zip, leads outside
	if err != nil {
		return err
	}
	defer root.Close()
	for _, e := range r.File {
		if err := extractOne(root, e, left); err != nil {
			return fmt.Errorf("%s: %w", e.Name, err)
		}
	}
	return nil
}

func extractOne(root *os.Root, e *zip.File, left *int64) error {
	name := filepath.Clean(filepath.FromSlash(e.Name))
	if strings.HasSuffix(e.Name, "/") {
		return root.MkdirAll(name, 0o755)
	}
	in, err := e.Open()
	if err != nil {
		return err
	}
	defer in.Close()
	if e.Mode()&fs.ModeSymlink != 0 {
		target, err := io.ReadAll(io.LimitReader(in, 4096))
		if err != nil {
			return err
		}
		if err := root.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			return err
		}
		return root.Symlink(string(target), name)
	}
	if !e.Mode().IsRegular() {
		return errors.New("is no file")
	}
	out, err := place(root, name, 0o644|e.Mode().Perm()&0o111) // readable by the sandbox's uid, whatever the zip's modes
	if err != nil {
		return err
	}
	n, err := io.Copy(out, io.LimitReader(in, *left+1))
	if *left -= n; *left < 0 {
		err = fmt.Errorf("more than %d bytes", maxUnzipped)
	}
	return errors.Join(err, out.Close())
}

// place makes a new file. Its folder is there for most files, and a file of an
// earlier layer is rare: a look at either costs more than the file itself.
func place(root *os.Root, name string, mode fs.FileMode) (*os.File, error) {
	for tries := 0; ; tries++ {
		out, err := root.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, mode)
		switch {
		case tries == 2:
			return out, err
		case errors.Is(err, fs.ErrNotExist):
			err = root.MkdirAll(filepath.Dir(name), 0o755)
		case errors.Is(err, fs.ErrExist):
			err = root.Remove(name)
		default:
			return out, err
		}
		if err != nil {
			return nil, err
		}
	}
}

// remove removes a zip that nothing uses. Its unpacked copy in a shared cache
// stays.
func (f *files) remove(b blob) {
	_ = os.Remove(f.zip(b))
	_ = os.RemoveAll(filepath.Join(f.unpacked, b.SHA))
}

// sweep removes zips that nothing uses, and partial files of processes that
// were killed.
func (f *files) sweep(used map[string]bool) error {
	entries, err := os.ReadDir(f.zips)
	if err != nil {
		return fmt.Errorf("sweep zips: %w", err)
	}
	for _, e := range entries {
		if sha := strings.TrimSuffix(e.Name(), ".zip"); !used[sha] {
			f.remove(blob{SHA: sha})
		}
	}
	half, _ := filepath.Glob(filepath.Join(f.unpacked, ".unpack-*"))
	for _, dir := range half {
		_ = os.RemoveAll(dir)
	}
	return nil
}

// writeAtomically writes a file completely or not at all. A lasting one is so
// after a crash of the machine too.
func writeAtomically(path string, data []byte, lasting bool) error {
	out, err := os.CreateTemp(filepath.Dir(path), ".new-")
	if err != nil {
		return fmt.Errorf("write %s: %w", filepath.Base(path), err)
	}
	_, err = out.Write(data)
	err = errors.Join(err, out.Chmod(0o644))
	if lasting {
		err = errors.Join(err, out.Sync())
	}
	err = errors.Join(err, out.Close())
	if err == nil {
		err = os.Rename(out.Name(), path)
	}
	if err != nil {
		_ = os.Remove(out.Name())
		return fmt.Errorf("write %s: %w", filepath.Base(path), err)
	}
	return nil
}
