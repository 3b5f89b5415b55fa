package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
	"time"
)

// localPID is the variable with the pid of the environment's stack.
const localPID = "SCRIPTFLEET_LOCAL_PID"

// detach starts the same command as a separate process, and returns once that
// process has printed its environment.
func (c *localCommand) detach() error {
	log, err := c.openLog()
	if err != nil {
		return fmt.Errorf("open the log (choose another --log-file): %w", err)
	}
	defer func() { _ = log.Close() }()
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find this program: %w", err)
	}
	args := slices.DeleteFunc(slices.Clone(os.Args[1:]), func(arg string) bool { return arg == "--detach" || arg == "--json" })
	cmd := exec.Command(self, append(args, "--json")...)
	cmd.Stderr, cmd.SysProcAttr = log, &syscall.SysProcAttr{Setsid: true}
	stdout, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		return fmt.Errorf("start scriptfleet local: %w", err)
	}
	told, err := bufio.NewReader(stdout).ReadBytes('\n')
	if err != nil {
		_ = cmd.Wait()
		return fmt.Errorf("scriptfleet local did not start; its log says:\n%s", tail(log))
	}
	fmt.Fprintf(os.Stderr, "scriptfleet local is up, as process %d; it logs to %s; scriptfleet local --stop ends it\n", cmd.Process.Pid, log.Name())
	var env map[string]string
	if err := json.Unmarshal(told, &env); err == nil && env[consoleURL] != "" {
		fmt.Fprintf(os.Stderr, "the console is at %s\n", env[consoleURL])
	}
	return c.forward(told)
}

// forward prints the environment that the other process has printed as JSON,
// unless it is written to a file.
func (c *localCommand) forward(told []byte) error {
	switch {
	case c.JSON:
		_, err := os.Stdout.Write(told)
		return err
	case c.EnvFile != "":
		return nil
	}
	set := map[string]string{}
	if err := json.Unmarshal(told, &set); err != nil {
		return fmt.Errorf("read what scriptfleet local tells: %w", err)
	}
	var env []string
	for _, name := range slices.Sorted(maps.Keys(set)) {
		env = append(env, name+"="+set[name])
	}
	fmt.Print(exportLines(env))
	return nil
}

func (c *localCommand) openLog() (*os.File, error) {
	path := c.LogFile
	if path == "" {
		cache, err := os.UserCacheDir()
		if err != nil {
			return nil, err
		}
		path = filepath.Join(cache, "scriptfleet", "local.log")
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			return nil, err
		}
	}
	return os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_TRUNC|os.O_APPEND, 0o600)
}

// tail is the end of a log.
func tail(log *os.File) []byte {
	const most = 2000
	size, err := log.Seek(0, io.SeekEnd)
	if err != nil {
		return nil
	}
	text := make([]byte, min(size, most))
	n, _ := log.ReadAt(text, size-int64(len(text)))
	return bytes.TrimRight(text[:n], "\n")
}

// stopLocal stops the stack of this environment.
func stopLocal(ctx context.Context) error {
	pid, err := strconv.Atoi(os.Getenv(localPID))
	if err != nil || pid <= 1 {
		return exitError{exitUsage, errors.New(localPID + " names no stack: take the environment that scriptfleet local printed, or its --env-file")}
	}
	if !isLocal(pid) {
		return fmt.Errorf("the stack of this environment (process %d) has ended already", pid)
	}
	if err := syscall.Kill(pid, syscall.SIGTERM); err != nil {
		return fmt.Errorf("stop scriptfleet local, process %d: %w", pid, err)
	}
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for isLocal(pid) {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-tick.C:
		}
	}
	fmt.Fprintf(os.Stderr, "scriptfleet local, process %d, has stopped\n", pid)
	return nil
}

// isLocal tells whether the process exists and runs scriptfleet local: the pid
// may have been reused. A zombie has no command line.
func isLocal(pid int) bool {
	line, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	args := bytes.Split(line, []byte{0})
	return err == nil && len(args) > 1 && bytes.Contains(args[0], []byte("scriptfleet")) && bytes.Equal(args[1], []byte("local"))
}
