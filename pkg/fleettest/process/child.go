// Package process starts programs beside a test and ends them: as a crash would,
// in good order, or paused where they stand. On Linux the kernel ends them too
// when the test's process is killed.
package process

import (
	"errors"
	"os/exec"
	"runtime"
	"sync"
	"syscall"
	"time"
)

// Child is a program that was launched. Its methods may be called by several
// goroutines.
type Child struct {
	PID    int
	Exited <-chan struct{} // closed once the program is gone
	Err    error           // of its exit; to be read once Exited is closed

	kill sync.Once
}

// Launch starts a command that ends with the test's process. For a child that
// has to end earlier the caller calls Kill.
func Launch(cmd *exec.Cmd) (*Child, error) {
	cmd.SysProcAttr = dieWithParent()
	exited, started := make(chan struct{}), make(chan error)
	c := &Child{Exited: exited}
	go func() {
		// The kernel ends the child with the thread that made it: the thread is
		// kept for as long as the child lives.
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

// Kill ends the program as a crash would (kill -9, to it alone), paused or not,
// and waits until it is gone.
func (c *Child) Kill() {
	c.kill.Do(func() { _ = c.Signal(syscall.SIGKILL) })
	<-c.Exited
}

// Signal sends a signal to the program. Once it is gone its pid may be another
// program's, so none is sent.
func (c *Child) Signal(s syscall.Signal) error {
	if c.Gone() {
		return errors.New("the process is gone")
	}
	return syscall.Kill(c.PID, s)
}

// Stop asks the program to end, and kills it when it has not within the limit.
func (c *Child) Stop(limit time.Duration) {
	_ = c.Signal(syscall.SIGTERM)
	select {
	case <-c.Exited:
	case <-time.After(limit):
		c.Kill()
	}
}
