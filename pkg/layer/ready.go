package layer

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// Ready is nil while layers can be built for that Python: the cache folder takes
// a file, and uv runs, or the pip of that Python. Where there is
// neither, it fetches uv, which a build would do otherwise. It does not ask the
// package index.
func (b *Builder) Ready(ctx context.Context, minor string) error {
	if err := writable(b.cache.dir); err != nil {
		return err
	}
	path, err := b.uv.known(ctx)
	if err != nil {
		return err
	}
	if path != "" {
		return runs(ctx, "uv", path, "--version")
	}
	python, ok := b.deps.Interpreters.For(minor)
	if ok {
		err = runs(ctx, "pip", python.Path, "-m", "pip", "--version")
		if err == nil {
			return nil
		}
	}
	if path, fetchErr := b.uv.get(ctx, newBuildLog(func(string) {})); fetchErr != nil || path != "" {
		return fetchErr
	}
	return fmt.Errorf("there is neither uv nor a Python %s with pip, and uv can't be fetched from the package index: install uv, or set --uv", minor)
}

// known is the uv that was found already, or empty.
func (u *uvSource) known(ctx context.Context) (string, error) {
	select {
	case u.turn <- struct{}{}:
		defer func() { <-u.turn }()
		return u.path, nil
	case <-ctx.Done():
		return "", context.Cause(ctx)
	}
}

func writable(dir string) error {
	file, err := os.CreateTemp(dir, tempPrefix+"*")
	if err != nil {
		return fmt.Errorf("the cache folder takes no file: mend it, or set --cache-dir: %w", err)
	}
	_, err = file.Write([]byte("ready"))
	if closing := file.Close(); err == nil {
		err = closing
	}
	if removing := os.Remove(file.Name()); err == nil {
		err = removing
	}
	if err != nil {
		return fmt.Errorf("the cache folder %s can't be written: make room there, or set --cache-dir: %w", filepath.Dir(file.Name()), err)
	}
	return nil
}

func runs(ctx context.Context, name, path string, args ...string) error {
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.WaitDelay = time.Second
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%s at %s does not run: install it again: %w", name, path, err)
	}
	return nil
}
