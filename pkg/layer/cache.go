package layer

import (
	"bytes"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/scriptfleet/scriptfleet/pkg/run"
)

// cache keeps layers in a folder, one file for each env, named by the env's
// hash. A file consists of
//
//	SHA-256 of the rest, in hex ⏎ kept as JSON ⏎ zip
//
// It is written under a temporary name and then renamed, so any number of
// processes may use one folder: each reads a complete file or none. The
// checksum finds files that a crash, a full disk or another program left
// incomplete. The modification time of a file is when the layer was last used.
type cache struct {
	dir  string
	most int64
	// write writes a file; tests replace it to simulate a full disk.
	write func(f *os.File, data []byte) error
}

// kept is a layer's metadata in its file.
type kept struct {
	SHA256        string        `json:"sha256"`
	UnpackedBytes int64         `json:"unpacked_bytes"`
	Packages      []run.Package `json:"packages"`
	Log           string        `json:"log"`
}

const (
	layerSuffix = ".layer"
	workPrefix  = "build-"
	tempPrefix  = "new-"
	abandoned   = 24 * time.Hour // age of a temporary file that no build still writes
)

var errCorrupt = errors.New("the kept layer is corrupt")

func openCache(dir string, most int64) (*cache, error) {
	if err := os.MkdirAll(dir, 0o711); err != nil {
		return nil, fmt.Errorf("make cache folder: %w", err)
	}
	c := &cache{dir: dir, most: most, write: func(f *os.File, data []byte) error { _, err := f.Write(data); return err }}
	c.sweep(time.Now())
	return c, nil
}

// sweep removes the temporary files of processes that were killed.
func (c *cache) sweep(now time.Time) {
	entries, err := os.ReadDir(c.dir)
	if err != nil {
		return
	}
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), workPrefix) && !strings.HasPrefix(e.Name(), tempPrefix) {
			continue
		}
		if info, err := e.Info(); err == nil && now.Sub(info.ModTime()) > abandoned {
			os.RemoveAll(filepath.Join(c.dir, e.Name()))
		}
	}
}

func (c *cache) workDir() (string, error) { return os.MkdirTemp(c.dir, workPrefix) }

func (c *cache) path(env run.EnvHash) string {
	return filepath.Join(c.dir, filepath.Base(string(env))+layerSuffix)
}

// get returns the kept layer. The error is fs.ErrNotExist where there is none,
// or errCorrupt where the file was damaged; get removes such a file.
func (c *cache) get(env run.EnvHash) (Layer, error) {
	path := c.path(env)
	data, err := os.ReadFile(path)
	if err != nil {
		return Layer{}, fmt.Errorf("read kept layer: %w", err)
	}
	l, err := decode(data)
	if err != nil {
		os.Remove(path)
		return Layer{}, err
	}
	now := time.Now()
	_ = os.Chtimes(path, now, now) // if it fails, the layer may be dropped earlier than it should
	return l, nil
}

func decode(data []byte) (Layer, error) {
	sum, rest, _ := bytes.Cut(data, []byte("\n"))
	head, zip, ok := bytes.Cut(rest, []byte("\n"))
	want := sha256.Sum256(rest)
	if !ok || subtle.ConstantTimeCompare(sum, []byte(hex.EncodeToString(want[:]))) != 1 {
		return Layer{}, errCorrupt
	}
	var k kept
	if err := json.Unmarshal(head, &k); err != nil {
		return Layer{}, errCorrupt
	}
	return Layer{Zip: zip, SHA256: k.SHA256, UnpackedBytes: k.UnpackedBytes, Packages: k.Packages, Log: k.Log}, nil
}

func encode(l Layer) ([]byte, error) {
	head, err := json.Marshal(kept{SHA256: l.SHA256, UnpackedBytes: l.UnpackedBytes, Packages: l.Packages, Log: l.Log})
	if err != nil {
		return nil, err
	}
	const sumLine = 2*sha256.Size + 1
	data := make([]byte, sumLine, sumLine+len(head)+1+len(l.Zip))
	data = append(append(append(data, head...), '\n'), l.Zip...)
	sum := sha256.Sum256(data[sumLine:])
	hex.Encode(data, sum[:])
	data[sumLine-1] = '\n'
	return data, nil
}

// put keeps the layer, then drops the least recently used layers over the
// limit.
func (c *cache) put(env run.EnvHash, l Layer) error {
	data, err := encode(l)
	if err != nil {
		return fmt.Errorf("keep layer: %w", err)
	}
	f, err := os.CreateTemp(c.dir, tempPrefix)
	if err != nil {
		return fmt.Errorf("keep layer: %w", err)
	}
	err = c.write(f, data)
	if err := errors.Join(err, f.Close()); err != nil {
		os.Remove(f.Name())
		return fmt.Errorf("keep layer: %w", err)
	}
	if err := os.Rename(f.Name(), c.path(env)); err != nil {
		os.Remove(f.Name())
		return fmt.Errorf("keep layer: %w", err)
	}
	c.trim()
	return nil
}

// trim drops the least recently used layers until the rest is within the limit.
func (c *cache) trim() {
	entries, err := os.ReadDir(c.dir)
	if err != nil {
		return
	}
	var layers []fs.FileInfo
	var sum int64
	for _, e := range entries {
		if info, err := e.Info(); err == nil && strings.HasSuffix(e.Name(), layerSuffix) {
			layers, sum = append(layers, info), sum+info.Size()
		}
	}
	slices.SortFunc(layers, func(a, b fs.FileInfo) int { return a.ModTime().Compare(b.ModTime()) })
	for _, l := range layers {
		if sum <= c.most {
			return
		}
		if os.Remove(filepath.Join(c.dir, l.Name())) == nil {
			sum -= l.Size()
		}
	}
}
