package layer

import (
	"archive/zip"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/scriptfleet/scriptfleet/pkg/interpreter"
)

// uvVersion is the version of uv that is fetched; the tests use the same.
const uvVersion = "0.13.9"

// uvWheels are the SHA-256 of its wheels for the platforms of workers, from the
// Python package index. No other file is run.
var uvWheels = []string{
	"d7f459fe4fd247d830351c75686d3996ace3c6f3f728eb0e85a30b7ada0cef19", // manylinux_2_17, x86_64
	"2c45530751517d6c3bbc69a19473f6effe47cce047bede01ffd8af7ea7b36b25", // musllinux_1_1, x86_64
	"ecb6028d79dc96fbeafffe5c8af62a7099487ebc05a701e76714eebcffd06375", // manylinux_2_28, aarch64
	"5435c5ce14a56431208ca0996416d310f1598e8c2c8ba707688985a16bb82dbe", // manylinux_2_17 and musllinux_1_1, aarch64
	"c16ed11e013557536b3e60065f1b912f6407bd6518e041b961e23ef9e6b4fbf5", // macOS 10.12, x86_64
	"66c512266d633bef48384a1f53003f41f2a8e7b36fe6e7fbfd3e0fd52d96fa63", // macOS 11, arm64
}

// fetchedUV is the path of a fetched uv.
func fetchedUV(cacheDir string) string { return filepath.Join(cacheDir, "uv-"+uvVersion) }

// fetchUV downloads uv's wheel from the machine's package index with an
// interpreter's pip, verifies it and keeps the program in it. Any number of
// processes may do so at the same time.
func (b *Builder) fetchUV(ctx context.Context) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, fetchTimeout)
	defer cancel()
	root, err := b.cache.workDir()
	if err != nil {
		return "", fmt.Errorf("make folder for uv: %w", err)
	}
	defer os.RemoveAll(root)
	wheel, err := b.downloadUV(ctx, workshop{root: root, home: root})
	if err != nil {
		return "", err
	}
	program, err := uvInWheel(wheel)
	if err != nil {
		return "", err
	}
	fresh := filepath.Join(root, "uv-program")
	if err := os.WriteFile(fresh, program, 0o755); err != nil {
		return "", fmt.Errorf("write uv: %w", err)
	}
	if _, _, err := tryUV(fresh); err != nil {
		return "", fmt.Errorf("the fetched uv %w", err)
	}
	path := fetchedUV(b.cfg.CacheDir)
	if err := os.Rename(fresh, path); err != nil {
		return "", fmt.Errorf("keep uv: %w", err)
	}
	return path, nil
}

// downloadUV returns the wheel, downloaded with the first interpreter that has
// pip.
func (b *Builder) downloadUV(ctx context.Context, w workshop) ([]byte, error) {
	err := errors.New("no Python with pip on this machine")
	minors := b.deps.Interpreters.Minors()
	for _, minor := range slices.Backward(minors) {
		var out string
		if out, err = b.pipDownload(ctx, b.deps.Interpreters[minor], w); err == nil {
			return onlyFile(filepath.Join(w.root, "wheel"))
		}
		if exited(err) {
			err = unknown("pip", out)
		}
		if !strings.Contains(out, "No module named pip") {
			break
		}
	}
	return nil, fmt.Errorf("download uv: %w", err)
}

func (b *Builder) pipDownload(ctx context.Context, python interpreter.Interpreter, w workshop) (out string, err error) {
	log := newBuildLog(func(string) {})
	for _, url := range b.installer.index.urls() {
		log.learn(url)
	}
	args := []string{"-m", "pip", "download", "--no-deps", "--only-binary", ":all:", "--no-cache-dir", "--no-input", "--no-color", "--progress-bar", "off",
		"--dest", filepath.Join(w.root, "wheel"), "--", "uv==" + uvVersion}
	return b.installer.pipCommand(args, python, w).run(ctx, log)
}

func onlyFile(dir string) ([]byte, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("read downloaded uv: %w", err)
	}
	if len(entries) != 1 {
		return nil, fmt.Errorf("read downloaded uv: %d files", len(entries))
	}
	data, err := os.ReadFile(filepath.Join(dir, entries[0].Name()))
	if err != nil {
		return nil, fmt.Errorf("read downloaded uv: %w", err)
	}
	return data, nil
}

// uvInWheel verifies the wheel's checksum and returns the program in it.
func uvInWheel(wheel []byte) ([]byte, error) {
	sum := sha256.Sum256(wheel)
	if !slices.Contains(uvWheels, hex.EncodeToString(sum[:])) {
		return nil, fmt.Errorf("the package index has another uv %s than this worker knows (SHA-256 %x)", uvVersion, sum)
	}
	r, err := zip.NewReader(bytes.NewReader(wheel), int64(len(wheel)))
	if err != nil {
		return nil, fmt.Errorf("open uv's wheel: %w", err)
	}
	f, err := r.Open("uv-" + uvVersion + ".data/scripts/uv")
	if err != nil {
		return nil, fmt.Errorf("open uv's wheel: %w", err)
	}
	defer f.Close()
	program, err := io.ReadAll(f)
	if err != nil {
		return nil, fmt.Errorf("unpack uv: %w", err)
	}
	return program, nil
}
