package main

import (
	"context"
	_ "embed"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"time"
)

//go:embed celery_app.py
var celeryApp []byte

// celeryPeer is Celery with the prefork pool, a redis-server as broker and as
// result backend. Settings as its page on optimizing says for short tasks: a
// prefetch multiplier of 64; no gossip, mingle or heartbeat between workers.
type celeryPeer struct {
	redis, worker *process
	python, dir   string
	env           []string
}

func (c *celeryPeer) start(ctx context.Context, h *harness) (err error) {
	if c.python, err = celeryPython(ctx, h); err != nil {
		return err
	}
	var addr string
	if c.redis, addr, err = redisServer(ctx); err != nil {
		return err
	}
	if c.dir, err = os.MkdirTemp(h.dir, "celery-"); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(c.dir, "celery_app.py"), celeryApp, 0o644); err != nil {
		return err
	}
	c.env = append(os.Environ(), "CELERY_REDIS=redis://"+addr+"/0", "CELERY_SCRIPT="+script, "PYTHONPATH="+c.dir)
	p := &process{cmd: exec.Command(c.python, "-m", "celery", "-A", "celery_app", "worker", "--pool", "prefork",
		"--concurrency", strconv.Itoa(pythons), "--prefetch-multiplier", "64", "--without-gossip", "--without-mingle", "--without-heartbeat")}
	p.cmd.Env, p.cmd.Dir, p.cmd.Stdout, p.cmd.Stderr = c.env, c.dir, &p.out, &p.out
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := p.cmd.Start(); err != nil {
		return err
	}
	c.worker = p
	return nil
}

// celeryPython is the interpreter of a venv with Celery, which is made once.
func celeryPython(ctx context.Context, h *harness) (string, error) {
	venv := filepath.Join(h.root, ".tools", "peers")
	python, stamp := filepath.Join(venv, "bin", "python"), filepath.Join(venv, "requirements.txt")
	pins, err := os.ReadFile("requirements.txt")
	if err != nil {
		return "", err
	}
	if installed, err := os.ReadFile(stamp); err == nil && string(installed) == string(pins) {
		return python, nil
	}
	for _, args := range [][]string{
		{h.python, "-m", "venv", "--clear", venv},
		{python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--requirement", "requirements.txt"},
	} {
		if out, err := exec.CommandContext(ctx, args[0], args[1:]...).CombinedOutput(); err != nil {
			return "", fmt.Errorf("%v: %w\n%s", args, err, out)
		}
	}
	return python, os.WriteFile(stamp, pins, 0o644)
}

// send lets the sender make a load; it prints seconds.
func (c *celeryPeer) send(ctx context.Context, args ...string) (seconds []float64, err error) {
	cmd := exec.CommandContext(ctx, c.python, append([]string{"celery_app.py"}, args...)...)
	cmd.Env, cmd.Dir, cmd.Stderr = c.env, c.dir, os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("celery's sender: %w", err)
	}
	return seconds, json.Unmarshal(out, &seconds)
}

func (c *celeryPeer) burst(ctx context.Context, runs int) (time.Duration, error) {
	seconds, err := c.send(ctx, "burst", strconv.Itoa(runs))
	if err != nil {
		return 0, err
	}
	return time.Duration(seconds[0] * float64(time.Second)), nil
}

func (c *celeryPeer) steady(ctx context.Context, runs, rate int) (delays []time.Duration, err error) {
	seconds, err := c.send(ctx, "steady", strconv.Itoa(runs), strconv.Itoa(rate))
	for _, s := range seconds {
		delays = append(delays, time.Duration(s*float64(time.Second)))
	}
	return delays, err
}

func (c *celeryPeer) pids() []int { return []int{c.worker.cmd.Process.Pid, c.redis.cmd.Process.Pid} }

func (c *celeryPeer) close() {
	c.worker.stop(syscall.SIGTERM)
	c.redis.stop(syscall.SIGTERM)
}
