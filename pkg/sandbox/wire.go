//go:build linux

package sandbox

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"runtime"

	"golang.org/x/sys/unix"
)

// plan is the starter's first message to the init.
type plan struct {
	Spec    wireSpec
	Walls   Report
	UID     int    // uid to switch to; 0 if init already runs as the sandbox's uid
	Data    int64  // RLIMIT_DATA, if no cgroup limits the memory
	files   []int  // of the process, by their numbers in the init
	Scratch string // replaces /tmp if there is no mount namespace
}

// wireSpec is the part of a Spec that the init needs.
type wireSpec struct {
	Path         string
	Args, Env    []string
	Dir          string
	Binds        []Bind
	Network      bool
	MaxProcesses int
	MaxFileBytes int64
	MaxOpenFiles int
	TmpBytes     int64
	ExtraFiles   int
	Open         bool
}

// rest is what completes an open process.
type rest struct {
	Binds []Bind
	Data  int64 // RLIMIT_DATA, if no cgroup limits the memory
}

// The init's commands, one message each.
const (
	cmdFreeze = 'f' // stop the process, kill its descendants; the reply is an event with Frozen
	cmdKeep   = 'c' // spare the process's present children in later freezes; no reply
	cmdThaw   = 't' // continue the process; no reply
	cmdKill   = 'k' // kill everything and exit; no reply
	cmdRest   = 'r' // followed by a rest: complete the root; the reply is an event with Completed
)

// event is a message of the init to the starter.
type event struct {
	Started   bool
	Completed bool
	Frozen    bool
	Exited    bool
	Code      int
	Signal    int
	Peak      int64 // bytes

	// Set if the start, or the completion, failed: the wall that failed, and why.
	Wall    wall
	Failure string
}

// startError is the error of a sandbox that could not be set up.
type startError struct {
	wall wall
	text string
}

func (e *startError) Error() string {
	return fmt.Sprintf("start sandbox: %s: %s", e.wall, e.text)
}

// maxPlan bounds a plan: the control socket must carry it in one message.
const maxPlan = 128 << 10

// maxFiles is the number of files that a plan may bring.
const maxFiles = 64

// socketpair makes the control socket, which keeps messages apart
// (SOCK_SEQPACKET). The first end is the starter's and uses the runtime's
// poller, so it blocks no thread; the second is the init's.
func socketpair() (ours, theirs *os.File, err error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, fmt.Errorf("make control socket: %w", err)
	}
	if err := unix.SetNonblock(fds[0], true); err != nil {
		return nil, nil, fmt.Errorf("make control socket: %w", err)
	}
	return os.NewFile(uintptr(fds[0]), "sandbox"), os.NewFile(uintptr(fds[1]), "sandbox-init"), nil
}

func readEvent(f *os.File) (event, error) {
	buf := make([]byte, 4096)
	n, err := f.Read(buf)
	if err != nil {
		return event{}, err
	}
	var e event
	if err := json.Unmarshal(buf[:n], &e); err != nil {
		return event{}, fmt.Errorf("read event: %w", err)
	}
	return e, nil
}

// send writes a plan, with the files of the process if the init has not got them.
func send(control *os.File, text []byte, files []*os.File) error {
	var rights []byte
	if len(files) > 0 {
		fds := make([]int, len(files))
		for n, f := range files {
			fds[n] = int(f.Fd())
		}
		rights = unix.UnixRights(fds...)
	}
	conn, err := control.SyscallConn()
	if err != nil {
		return err
	}
	var sent error
	err = conn.Write(func(fd uintptr) bool {
		sent = unix.Sendmsg(int(fd), text, rights, nil, 0)
		return sent != unix.EAGAIN
	})
	runtime.KeepAlive(files)
	return errors.Join(err, sent)
}

// receive is the other end of send.
func receive(fd int) (text []byte, files []int, err error) {
	text, rights := make([]byte, maxPlan), make([]byte, unix.CmsgSpace(4*maxFiles))
	n, of, _, _, err := unix.Recvmsg(fd, text, rights, unix.MSG_CMSG_CLOEXEC)
	if err != nil || of == 0 {
		return text[:max(n, 0)], nil, err
	}
	parts, err := unix.ParseSocketControlMessage(rights[:of])
	if err != nil || len(parts) != 1 {
		return nil, nil, errors.Join(errors.New("read files of the process"), err)
	}
	files, err = unix.ParseUnixRights(&parts[0])
	return text[:n], files, err
}
