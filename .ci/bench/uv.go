package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"time"

	"github.com/scriptfleet/scriptfleet/pkg/fleettest/program"
)

// uv is how long uv alone takes to install requirements into a new folder, as a
// build asks it to: wheels only, for the default runtime.
func (b *bench) uv(ctx context.Context, requirements string) (time.Duration, error) {
	path, err := program.Tool("uv")
	if err != nil {
		return 0, err
	}
	dir, err := os.MkdirTemp(b.dir, "uv-")
	if err != nil {
		return 0, err
	}
	defer os.RemoveAll(dir)
	began := time.Now()
	out, err := exec.CommandContext(ctx, path, "pip", "install", "--quiet", "--only-binary", ":all:", "--python-version", "3.13",
		"--target", dir, requirements).CombinedOutput()
	if err != nil {
		return 0, fmt.Errorf("uv pip install %s: %w\n%s", requirements, err, out)
	}
	return time.Since(began), nil
}
