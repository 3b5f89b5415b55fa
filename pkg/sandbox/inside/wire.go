//go:build linux

package inside

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// Plan is the starter's first message to the init.
type Plan struct {
	Spec    Spec
	Walls   Report
	UID     int    // uid to switch to; 0 if init already runs as the sandbox's uid
	Data    int64  // RLIMIT_DATA, if no cgroup limits the memory
	files   []int  // of the process, by their numbers in the init
	Scratch string // replaces /tmp if there is no mount namespace
}

// Spec is the part of a sandbox.Spec that the init needs.
type Spec struct {
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

// Rest is what completes an open process.
type Rest struct {
	Binds []Bind
	Data  int64 // RLIMIT_DATA, if no cgroup limits the memory
}

// The init's commands, one message each.
const (
	CmdFreeze = 'f' // stop the process, kill its descendants; the reply is an event with Frozen
	CmdKeep   = 'c' // spare the process's present children in later freezes; no reply
	CmdThaw   = 't' // continue the process; no reply
	CmdKill   = 'k' // kill everything and exit; no reply
	CmdRest   = 'r' // followed by a rest: complete the root; the reply is an event with Completed
)

// Event is a message of the init to the starter.
type Event struct {
	Started   bool
	Completed bool
	Frozen    bool
	Exited    bool
	Code      int
	Signal    int
	Peak      int64 // bytes

	// Set if the start, or the completion, failed: the wall that failed, and why.
	Wall    Wall
	Failure string
}

// StartError is the error of a sandbox that could not be set up.
type StartError struct {
	Wall Wall
	Text string
}

func (e *StartError) Error() string {
	return fmt.Sprintf("start sandbox: %s: %s", e.Wall, e.Text)
}

// MaxPlan bounds a plan: the control socket must carry it in one message.
const MaxPlan = 128 << 10

// MaxFiles is the number of files that a plan may bring.
const MaxFiles = 64

// MaxRest bounds a Rest: the control socket must carry it in one message.
const MaxRest = 64 << 10

// Bind is a sandbox.Bind.
type Bind struct {
	Source, Target string
	Writable       bool
}

// receive reads a plan and the files that came with it.
func receive(fd int) (text []byte, files []int, err error) {
	text, rights := make([]byte, MaxPlan), make([]byte, unix.CmsgSpace(4*MaxFiles))
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
