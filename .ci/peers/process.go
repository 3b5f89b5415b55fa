package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// process is a program that ends with this one.
type process struct {
	cmd *exec.Cmd
	out bytes.Buffer // may be read once it has ended
}

// launch starts a program, as another user if this one is root and the program
// refuses that.
func launch(user *syscall.Credential, name string, args ...string) (*process, error) {
	p := &process{cmd: exec.Command(name, args...)}
	p.cmd.Stdout, p.cmd.Stderr = &p.out, &p.out
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Credential: user, Setpgid: true}
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	return p, nil
}

// stop ends the program by a signal, and kills its group if it does not end.
func (p *process) stop(signal syscall.Signal) {
	if p == nil {
		return
	}
	_ = p.cmd.Process.Signal(signal)
	timer := time.AfterFunc(5*time.Second, func() { _ = syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL) })
	defer timer.Stop()
	_ = p.cmd.Wait()
}

// until waits for a condition.
func until(ctx context.Context, what string, ok func() bool) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	for !ok() {
		select {
		case <-time.After(20 * time.Millisecond):
		case <-ctx.Done():
			return errors.New(what)
		}
	}
	return nil
}

func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}

// redisServer starts a redis-server that keeps nothing.
func redisServer(ctx context.Context) (*process, string, error) {
	port, err := freePort()
	if err != nil {
		return nil, "", err
	}
	p, err := launch(nil, "redis-server", "--port", strconv.Itoa(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no")
	if err != nil {
		return nil, "", err
	}
	addr := fmt.Sprintf("127.0.0.1:%d", port)
	return p, addr, until(ctx, "redis-server does not come up", func() bool { return accepts(addr) })
}

func accepts(addr string) bool {
	conn, err := net.DialTimeout("tcp", addr, time.Second)
	if err == nil {
		conn.Close()
	}
	return err == nil
}

// cpu is the time that processes and all their descendants have spent so far.
func cpu(pids ...int) (spent time.Duration) {
	const tick = 10 * time.Millisecond
	children, of := map[int][]int{}, map[int]time.Duration{}
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, file := range stats {
		content, err := os.ReadFile(file)
		_, rest, found := bytes.Cut(content, []byte(") "))
		fields := strings.Fields(string(rest))
		if err != nil || !found || len(fields) < 15 {
			continue
		}
		pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(file)))
		parent, _ := strconv.Atoi(fields[1])
		children[parent] = append(children[parent], pid)
		for _, field := range fields[11:15] {
			n, _ := strconv.ParseInt(field, 10, 64)
			of[pid] += time.Duration(n) * tick
		}
	}
	seen := map[int]bool{}
	for i := 0; i < len(pids); i++ {
		if !seen[pids[i]] {
			seen[pids[i]] = true
			spent += of[pids[i]]
			pids = append(pids, children[pids[i]]...)
		}
	}
	return spent
}
