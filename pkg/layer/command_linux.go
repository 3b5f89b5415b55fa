package layer

import (
	"context"
	"fmt"
	"io"
	"path/filepath"

	"github.com/scriptfleet/scriptfleet/pkg/sandbox"
)

func (c command) execute(ctx context.Context, out io.Writer) error {
	env, err := lendFiles(c.env, c.work)
	if err != nil {
		return err
	}
	// The owner of the first writable folder decides the sandbox's uid, so
	// builds with a shared downloads folder need that folder first: they must
	// all run as its owner.
	var binds []sandbox.Bind
	if c.writes != "" {
		binds = append(binds, sandbox.Bind{Source: c.writes, Writable: true})
	}
	binds = append(binds, sandbox.Bind{Source: c.work.root, Writable: true})
	for _, path := range c.sees {
		if !inSystem(path) {
			binds = append(binds, sandbox.Bind{Source: path})
		}
	}
	p, err := sandbox.Start(ctx, sandbox.Spec{
		Path: c.path, Args: c.args, Env: env, Dir: c.work.home, Binds: binds, Network: c.network,
		MemoryBytes: buildMemory, MaxProcesses: buildProcesses, MaxOpenFiles: buildOpenFiles,
		Stdout: out, Stderr: out,
	})
	if err != nil {
		return fmt.Errorf("start %s: %w", filepath.Base(c.path), err)
	}
	exit := p.Wait()
	switch {
	case exit.Err != nil:
		return fmt.Errorf("run %s: %w", filepath.Base(c.path), exit.Err)
	case !exit.Success():
		return &exitError{program: filepath.Base(c.path), code: exit.Code, signal: exit.Signal, memory: exit.OutOfMemory}
	}
	return nil
}
