package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/scriptfleet/scriptfleet/pkg/fleettest"
	"github.com/scriptfleet/scriptfleet/pkg/fleettest/process"
	"github.com/scriptfleet/scriptfleet/pkg/fleettest/program"
	"github.com/scriptfleet/scriptfleet/pkg/fleettest/wait"
	"github.com/scriptfleet/scriptfleet/pkg/queue"
	"github.com/scriptfleet/scriptfleet/pkg/queue/sqsqueue"
)

const (
	prefix  = "scriptfleet"
	startIn = time.Minute
)

// fleet is the shipped binaries as processes on this machine: the embedded stack,
// a dispatcher, and workers. They may reach Lambda through a proxy, which takes
// time and CPU of its own.
type fleet struct {
	dir        string
	set        fleettest.Settings
	proxy      *proxy // nil: none
	stack      *running
	dispatcher *running
	workers    []*running

	requests, results queue.Queue
}

// running is a process and its log.
type running struct {
	*process.Child
	log string
}

// build builds the binaries, unless there are some.
func (b *bench) build() error {
	if b.bin != "" {
		return nil
	}
	bin := filepath.Join(b.dir, "bin")
	if err := program.Build(bin, false, program.All...); err != nil {
		return err
	}
	b.bin = bin
	return nil
}

// start starts a fleet. The caller ends it with close.
func (b *bench) start(ctx context.Context, workers int) (*fleet, error) {
	return b.open(ctx, workers, false)
}

// startProxied starts a fleet of one worker, with args, which reaches Lambda
// through a proxy.
func (b *bench) startProxied(ctx context.Context, args ...string) (*fleet, error) {
	return b.open(ctx, 1, true, args...)
}

func (b *bench) open(ctx context.Context, workers int, proxied bool, args ...string) (_ *fleet, err error) {
	if err := b.build(); err != nil {
		return nil, err
	}
	f := &fleet{}
	defer func() {
		if err != nil {
			f.close()
		}
	}()
	if f.dir, err = os.MkdirTemp(b.dir, "fleet-"); err != nil {
		return nil, err
	}
	envFile := filepath.Join(f.dir, "env")
	if f.stack, err = f.launch(b.bin, "scriptfleet", program.Environment(), fleettest.LocalArgs(envFile, "--no-fleet")...); err != nil {
		return nil, err
	}
	if !wait.Soon(startIn, func() bool { f.set = fleettest.ReadSettings(envFile); return len(f.set) > 0 || f.stack.Gone() }) || f.stack.Gone() {
		return nil, f.stack.fail("does not come up")
	}
	env := f.set.Env()
	if proxied {
		if f.proxy, err = openProxy(f.set["AWS_ENDPOINT_URL"]); err != nil {
			return nil, err
		}
		env = f.set.Env("AWS_ENDPOINT_URL_LAMBDA=" + f.proxy.url)
	}
	if f.dispatcher, err = f.launch(b.bin, "dispatcher", f.set.Env(), "--admin-addr", "127.0.0.1:0"); err != nil {
		return nil, err
	}
	for range workers {
		args := append([]string{"--admin-addr", "127.0.0.1:0", "--cache-dir", filepath.Join(f.dir, "layers")}, args...)
		w, err := f.launch(b.bin, "worker", env, args...)
		if err != nil {
			return nil, err
		}
		f.workers = append(f.workers, w)
	}
	for _, p := range append([]*running{f.dispatcher}, f.workers...) {
		if !wait.Soon(startIn, func() bool { return p.admin() != "" || p.Gone() }) || p.Gone() {
			return nil, p.fail("does not come up")
		}
	}
	client, names := sqsqueue.NewClient(f.set.Config()), queue.NamesOf(prefix, 8)
	f.requests, err = sqsqueue.Open(ctx, client, names.Requests)
	if err != nil {
		return nil, err
	}
	f.results, err = sqsqueue.Open(ctx, client, names.Results)
	return f, err
}

func (f *fleet) launch(bin, name string, env []string, args ...string) (*running, error) {
	log, err := os.CreateTemp(f.dir, name+"-*.log")
	if err != nil {
		return nil, err
	}
	defer log.Close()                                      // the process has its own descriptor
	cmd := exec.Command(filepath.Join(bin, name), args...) //nolint:noctx // the fleet ends it
	cmd.Env, cmd.Stderr = env, log
	child, err := process.Launch(cmd)
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	return &running{child, log.Name()}, nil
}

// close ends all processes, those that take work before those that serve it. A
// second close does nothing.
func (f *fleet) close() {
	for _, p := range append(f.workers, f.dispatcher, f.stack) {
		if p != nil {
			p.Stop(5 * time.Second)
		}
	}
	if f.proxy != nil {
		f.proxy.close()
	}
	_ = os.RemoveAll(f.dir)
}

func (r *running) said() string {
	content, _ := os.ReadFile(r.log)
	return string(content)
}

// admin is the address of its metrics, once it is there.
func (r *running) admin() string { return process.AdminOf(r.said()) }

func (r *running) fail(how string) error {
	return fmt.Errorf("%s %s: %s", strings.SplitN(filepath.Base(r.log), "-", 2)[0], how, process.Telling(r.said()))
}

// metric is the value of a series without labels.
func (r *running) metric(name string) (value float64, err error) {
	resp, err := http.Get("http://" + r.admin() + "/metrics") //nolint:noctx // of a process that the fleet ends
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	page, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0, err
	}
	_, after, found := strings.Cut(string(page), "\n"+name+" ")
	if !found {
		return 0, errors.New("there is no metric " + name)
	}
	_, err = fmt.Sscan(after, &value)
	return value, err
}
