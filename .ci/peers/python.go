package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os/exec"
	"strings"
)

// script is what every peer runs.
const script = "def main(input):\n    return None\n"

// serve is the warm process of the Go peers: it loads the script once, and
// answers a line of JSON for each line of JSON.
const serve = `
import json, sys
scope = {}
exec(compile(sys.argv[1], "script.py", "exec"), scope)
for line in sys.stdin:
    sys.stdout.write(json.dumps({"output": scope["main"](json.loads(line))}) + "\n")
    sys.stdout.flush()
`

// pythons is how many warm processes a peer has: more than cores, so that one
// that waits for its next input does not leave a core idle.
const pythons = 4

// pool lends warm Python processes.
type pool struct {
	free chan *warm
	all  []*warm
}

type warm struct {
	cmd *exec.Cmd
	in  io.WriteCloser
	out *bufio.Reader
}

func openPool(python string) (*pool, error) {
	p := &pool{free: make(chan *warm, pythons)}
	for range pythons {
		w := &warm{cmd: exec.Command(python, "-c", serve, script)}
		var err error
		if w.in, err = w.cmd.StdinPipe(); err != nil {
			return nil, err
		}
		out, err := w.cmd.StdoutPipe()
		if err != nil {
			return nil, err
		}
		w.out = bufio.NewReader(out)
		if err := w.cmd.Start(); err != nil {
			return nil, err
		}
		p.all = append(p.all, w)
		p.free <- w
	}
	return p, nil
}

// run runs the script once.
func (p *pool) run(ctx context.Context, input []byte) error {
	var w *warm
	select {
	case w = <-p.free:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { p.free <- w }()
	if _, err := w.in.Write(append(input, '\n')); err != nil {
		return err
	}
	line, err := w.out.ReadBytes('\n')
	if err != nil {
		return err
	}
	var answer struct{ Output any }
	return json.Unmarshal(line, &answer)
}

// close ends the processes: they end with their input.
func (p *pool) close() {
	if p == nil {
		return
	}
	for _, w := range p.all {
		_ = w.in.Close()
		_ = w.cmd.Wait()
	}
}

// interpreter is the interpreter itself, since a version manager's shim takes
// 100 ms a start.
func interpreter() (string, error) {
	out, err := exec.Command("python3", "-c", "import sys; print(sys.executable)").Output()
	if err != nil {
		return "", fmt.Errorf("find python3: %w", err)
	}
	return strings.TrimSpace(string(out)), nil
}
