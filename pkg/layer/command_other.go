//go:build !linux

package layer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
	"time"
)

// execute runs the program without a sandbox, which exists on Linux only. This
// is for developers: installing a wheel runs none of its code.
func (c command) execute(ctx context.Context, out io.Writer) error {
	cmd := exec.CommandContext(ctx, c.path, c.args...)
	cmd.Env, cmd.Dir, cmd.Stdout, cmd.Stderr = c.env, c.work.home, out, out
	cmd.WaitDelay = 5 * time.Second
	err := cmd.Run()
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit) && exit.ExitCode() > 0:
		return &exitError{program: filepath.Base(c.path), code: exit.ExitCode()}
	case errors.As(err, &exit):
		return &exitError{program: filepath.Base(c.path), signal: exit.String()}
	case err != nil:
		return fmt.Errorf("start %s: %w", filepath.Base(c.path), err)
	}
	return nil
}
