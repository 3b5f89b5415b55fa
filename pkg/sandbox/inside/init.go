//go:build linux

// Package inside is the part of a sandbox that runs in it: the init, which sets up
// the walls, starts the process behind them, and carries out the starter's orders.
// What init and starter say to each other is here too.
package inside

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"os/signal"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	// Name is the program name (argv[0]) of an init.
	Name = "scriptfleet-sandbox"
	// UID is the process's uid inside.
	UID = 1000
	// Bytes is added to the memory limit for the init itself.
	Bytes = 16 << 20

	controlFD = 3
	firstFD   = 4 // the first of the caller's extra files
)

// init runs before main, and before most packages are initialised: those of the
// AWS SDK and of Prometheus would take ten times as long as the init needs. Go
// initialises a package as soon as those that it imports are ready, in the order
// of their paths; so this package must import little. A program that starts
// sandboxes imports it, and needs no call for it.
func init() {
	if len(os.Args) == 1 && os.Args[0] == Name {
		run()
	}
}

// run runs the init; it never returns. It exits by the system call, because
// os.Exit in a program with the race detector sleeps for 1 s.
func run() {
	runtime.LockOSThread() // the walls apply to this thread, and the process that it starts inherits them
	signal.Notify(make(chan os.Signal, 1))
	ended := make(chan os.Signal, 1)
	signal.Notify(ended, unix.SIGCHLD)
	ignoreStops()
	// Files that the starter inherited must not reach the process.
	if err := unix.CloseRange(controlFD, math.MaxUint32, unix.CLOSE_RANGE_CLOEXEC); err != nil {
		for fd := controlFD; fd < 4096; fd++ { // a kernel before 5.11
			unix.CloseOnExec(fd)
		}
	}
	pl, err := readPlan()
	if err != nil {
		unix.Exit(1)
	}
	pid, err := pl.start()
	if err != nil {
		var failed *StartError
		if !errors.As(err, &failed) {
			failed = &StartError{WallExec, err.Error()}
		}
		say(Event{Wall: failed.Wall, Failure: failed.Text})
		unix.Exit(1)
	}
	letGo(pl.files)
	say(Event{Started: true})
	k := keeper{main: pid, blind: pl.Walls.PIDNamespace && !pl.Walls.Proc}
	go k.serve()
	go k.reap(ended)
	select {}
}

// ignoreStops sees to it that children that are stopped or continue, as each
// Freeze and Thaw of the starter's makes them, do not wake the init: its part of a
// short run would be a tenth of the process's own.
func ignoreStops() {
	const noStops = 1     // SA_NOCLDSTOP
	var action [8]uintptr // the kernel's struct sigaction, whose second word are the flags
	_, _, err := unix.RawSyscall6(unix.SYS_RT_SIGACTION, uintptr(unix.SIGCHLD), 0, uintptr(unsafe.Pointer(&action)), 8, 0, 0)
	if action[1] |= noStops; err == 0 {
		_, _, _ = unix.RawSyscall6(unix.SYS_RT_SIGACTION, uintptr(unix.SIGCHLD), uintptr(unsafe.Pointer(&action)), 0, 8, 0, 0)
	}
}

// readPlan waits for the plan. The process's files come with it, or lie where
// the init was started with them.
func readPlan() (Plan, error) {
	var pl Plan
	text, files, err := receive(controlFD)
	if err != nil {
		return pl, err
	}
	if err := json.Unmarshal(text, &pl); err != nil {
		return pl, err
	}
	if pl.files = append([]int{0}, files...); len(files) == 0 {
		pl.files = append(pl.files, 1, 2)
		for n := range pl.Spec.ExtraFiles {
			pl.files = append(pl.files, firstFD+n)
		}
	}
	return pl, nil
}

// start sets up the walls from the outermost to the innermost and then starts
// the process.
func (pl *Plan) start() (pid int, err error) {
	if !pl.Walls.PIDNamespace {
		_ = unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
	}
	steps := []struct {
		wall Wall
		do   func(*Plan) error
	}{
		{WallMount, (*Plan).makeRoot},
		{WallLoopback, (*Plan).raiseLoopback},
		{WallRlimits, (*Plan).limit},
		{WallExec, (*Plan).dropBounding},
		{WallLandlock, (*Plan).landlock},
		{WallExec, (*Plan).dropCapabilities},
		{WallSeccomp, (*Plan).filter},
	}
	for _, s := range steps {
		if err := s.do(pl); err != nil {
			var failed *StartError
			if errors.As(err, &failed) {
				return 0, err
			}
			return 0, &StartError{s.wall, err.Error()}
		}
	}
	return pl.exec()
}

// exec starts the process from this thread, so that it inherits the thread's
// walls.
func (pl *Plan) exec() (int, error) {
	files := make([]uintptr, len(pl.files))
	for n, fd := range pl.files {
		files[n] = uintptr(fd)
	}
	dir, env := pl.Spec.Dir, pl.Spec.Env
	if pl.Scratch != "" {
		env = append([]string{"TMPDIR=" + pl.Scratch}, env...)
		if dir == "/tmp" || strings.HasPrefix(dir, "/tmp/") {
			dir = pl.Scratch
		}
	}
	attr := &syscall.ProcAttr{Dir: dir, Env: env, Files: files, Sys: &syscall.SysProcAttr{Setsid: true}}
	if pl.UID != 0 {
		attr.Sys.Credential = &syscall.Credential{Uid: uint32(pl.UID), Gid: uint32(pl.UID)}
	}
	pid, err := syscall.ForkExec(pl.Spec.Path, append([]string{pl.Spec.Path}, pl.Spec.Args...), attr)
	if err != nil {
		return 0, fmt.Errorf("%s in %s: %w", pl.Spec.Path, dir, err)
	}
	if pl.Walls.Rlimits {
		limitData(pid, pl.Data)
	}
	return pid, nil
}

// limitData sets RLIMIT_DATA of the process from outside: in the init it would
// break Go's allocator. A limit of 0 is none.
func limitData(pid int, bytes int64) {
	if bytes > 0 {
		limit := unix.Rlimit{Cur: uint64(bytes), Max: uint64(bytes)}
		_ = unix.Prlimit(pid, unix.RLIMIT_DATA, &limit, nil)
	}
}

// letGo closes the init's copies of the process's files, so that the other ends
// see EOF when the process closes its own.
func letGo(files []int) {
	null, err := unix.Open("/dev/null", unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err == nil {
		for fd := range 3 {
			_ = unix.Dup3(null, fd, 0)
		}
		_ = unix.Close(null)
	}
	for _, fd := range files {
		if fd > 2 {
			_ = unix.Close(fd)
		}
	}
}

func say(e Event) {
	text, _ := json.Marshal(e)
	_, _ = unix.Write(controlFD, text)
}

// keeper is the init while the process runs.
type keeper struct {
	main  int
	blind bool // no /proc of this namespace is mounted
}

// serve executes the starter's commands. When the starter ends, or orders a
// kill, everything in the sandbox ends. It runs on a thread without walls, so it
// can still mount.
func (k keeper) serve() {
	buf := make([]byte, MaxRest)
	var kept []int
	for {
		n, err := unix.Read(controlFD, buf)
		switch {
		case errors.Is(err, unix.EINTR):
		case err != nil || n == 0 || buf[0] == CmdKill:
			k.killAll()
			unix.Exit(1)
		case buf[0] == CmdKeep:
			kept = ChildrenOf(k.main, Descendants(os.Getpid()))
		case buf[0] == CmdFreeze:
			_ = unix.Kill(k.main, unix.SIGSTOP)
			if !k.killStrays(kept) { // the starter then learns that all are gone
				k.killAll()
				unix.Exit(1)
			}
			status, _ := ReadStatus(k.main)
			say(Event{Frozen: true, Peak: status.Peak})
		case buf[0] == CmdThaw:
			_ = unix.Kill(k.main, unix.SIGCONT)
		case buf[0] == CmdRest:
			e := Event{Completed: true}
			if err := k.complete(buf[1:n]); err != nil {
				e.Failure = err.Error()
			}
			say(e)
		}
	}
}

func (k keeper) complete(text []byte) error {
	var r Rest
	if err := json.Unmarshal(text, &r); err != nil {
		return err
	}
	limitData(k.main, r.Data)
	return r.complete()
}

// reap collects every process that ends here. When the main process ends, it
// kills the rest and the sandbox ends. A wait that blocks would return whenever a
// process stops or continues.
func (k keeper) reap(ended <-chan os.Signal) {
	for ; ; <-ended {
		for k.reapOne() {
		}
	}
}

func (k keeper) reapOne() (more bool) {
	var status unix.WaitStatus
	var usage unix.Rusage
	pid, err := unix.Wait4(-1, &status, unix.WNOHANG, &usage)
	if errors.Is(err, unix.ECHILD) {
		unix.Exit(1)
	}
	if pid != k.main || err != nil {
		return pid > 0 || errors.Is(err, unix.EINTR)
	}
	e := Event{Exited: true, Code: status.ExitStatus(), Peak: usage.Maxrss << 10}
	if status.Signaled() {
		e.Code, e.Signal = -1, int(status.Signal())
	}
	k.killAll()
	say(e)
	unix.Exit(0)
	return false
}

// killAll kills all descendants, repeatedly, until none is left that could start
// another, or it gives up.
func (k keeper) killAll() {
	if k.blind {
		_ = unix.Kill(-1, unix.SIGKILL) // all processes of the namespace except this one
		return
	}
	KillWhile(func() []int { return Descendants(os.Getpid()) })
}

// killStrays is killAll but for the main process, and what is kept beside it. It
// returns false if it gave up.
func (k keeper) killStrays(kept []int) bool {
	return k.blind || KillWhile(func() []int {
		all := Descendants(os.Getpid())
		spared := append(Kept(k.main, kept, all), k.main)
		return slices.DeleteFunc(all, func(pid int) bool { return slices.Contains(spared, pid) })
	})
}
