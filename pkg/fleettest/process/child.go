// Package process starts programs for a test and ends them: by kill -9, by
// SIGTERM, or paused by SIGSTOP. On Linux the kernel kills them if the test's
// process is killed.
package process

import (
	"errors"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"sync"
	"syscall"
	"time"
)

// Child is a started program. It is safe for concurrent use.
type Child struct {
	PID    int
	Exited <-chan struct{} // closed once the program has ended
	Err    error           // of its exit; valid once Exited is closed

	kill sync.Once
}

// HeedHangups undoes that this process ignores SIGHUP, as under nohup: what it
// starts would ignore it too. The process itself goes on to take no notice of it.
var HeedHangups = sync.OnceFunc(func() {
	if signal.Ignored(syscall.SIGHUP) {
		signal.Notify(make(chan os.Signal, 1), syscall.SIGHUP)
	}
})

// Launch starts a command that ends at the latest with the test's process. To
// end it earlier, call Kill.
func Launch(cmd *exec.Cmd) (*Child, error) {
	HeedHangups()
	cmd.SysProcAttr = dieWithParent()
	exited, started := make(chan struct{}), make(chan error)
	c := &Child{Exited: exited}
	go func() {
		// PR_SET_PDEATHSIG kills the child when the thread that started it ends:
		// this goroutine keeps the thread for the child's life.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		if err == nil {
			c.PID = cmd.Process.Pid
		}
		started <- err
		if err == nil {
			c.Err = cmd.Wait()
			close(exited)
		}
	}()
	return c, <-started
}

// Gone tells whether the program has ended.
func (c *Child) Gone() bool {
	select {
	case <-c.Exited:
		return true
	default:
		return false
	}
}

// Kill kills the program itself (kill -9, not its children), paused or not, and
// waits until it has ended.
func (c *Child) Kill() {
	c.kill.Do(func() { _ = c.Signal(syscall.SIGKILL) })
	<-c.Exited
}

// Signal sends a signal to the program, unless it has ended: its pid may then
// belong to another process.
func (c *Child) Signal(s syscall.Signal) error {
	if c.Gone() {
		return errors.New("the process is gone")
	}
	return syscall.Kill(c.PID, s)
}

// Stop sends SIGTERM, and kills the program after the limit.
func (c *Child) Stop(limit time.Duration) {
	_ = c.Signal(syscall.SIGTERM)
	select {
	case <-c.Exited:
	case <-time.After(limit):
		c.Kill()
	}
}
