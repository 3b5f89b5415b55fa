//go:build linux

package sandbox

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"os"
	"os/exec"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/scriptfleet/scriptfleet/pkg/panics"
	"github.com/scriptfleet/scriptfleet/pkg/sandbox/inside"
)

// Process is a started process and all its descendants.
type Process struct {
	cmd     *exec.Cmd
	control *os.File
	group   *group // nil without a cgroup
	scratch string
	walls   Report
	memory  atomic.Int64 // limit in bytes; 0: none
	tmp     int64        // size of /tmp in bytes
	uid     int          // on the host, if the starter is root
	kept    []int        // see Keep
	main    *os.Process  // the process that the init started; nil while unknown on the host
	mainPid int          // its pid, which Release takes away from main, maybe during a Freeze

	frozen    chan int64    // replies to freeze: peak memory in bytes
	completed chan error    // reply to Complete
	gone      chan struct{} // closed once all processes ended and exit is set
	exit      Exit
	killed    sync.Once

	status  *inside.KernelFile // of main; nil while main is
	warden  *warden            // nil if the group's own limit is enough
	halted  atomic.Bool        // it is frozen
	overran atomic.Bool        // the warden killed it for its memory

	fault    atomic.Pointer[panics.Error] // the first panic of a watcher
	panicked func(*panics.Error)
}

// Start starts the process. When ctx ends, the process is killed as by Kill.
func Start(ctx context.Context, s Spec) (*Process, error) {
	return start(ctx, s, Probe())
}

func start(ctx context.Context, s Spec, walls Report) (*Process, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("start sandbox: %w", err)
	}
	s = s.withDefaults()
	p := newProcess(walls, hostUID(s.Binds))
	if err := p.launch(s); err != nil {
		p.cleanup()
		return nil, err
	}
	return p.await(ctx, s)
}

func newProcess(walls Report, uid int) *Process {
	return &Process{walls: walls, uid: uid, frozen: make(chan int64, 1), completed: make(chan error, 1), gone: make(chan struct{})}
}

// await returns once the init, which has its plan, has started the process.
func (p *Process) await(ctx context.Context, s Spec) (*Process, error) {
	p.panicked = s.Panicked
	started := make(chan error, 1)
	go p.watch(started)
	if err := <-started; err != nil {
		p.Kill()
		return nil, err
	}
	if !s.Open {
		p.beginWarden()
	}
	stop := context.AfterFunc(ctx, p.Kill)
	go func() { <-p.gone; stop() }()
	return p, nil
}

// launch starts the init with the process's files, and sends it the plan.
func (p *Process) launch(s Spec) error {
	if s.MemoryBytes > 0 {
		if err := p.makeGroup(); err != nil {
			return err
		}
	}
	p.cmd = p.command(s.Network)
	p.cmd.Stdin, p.cmd.Stdout, p.cmd.Stderr = s.Stdin, s.Stdout, s.Stderr
	if err := p.begin(s.ExtraFiles...); err != nil {
		return err
	}
	return p.instruct(s)
}

// command starts the init.
func (p *Process) command(network bool) *exec.Cmd {
	return &exec.Cmd{
		Path: "/proc/self/exe", Args: []string{inside.Name},
		Env:         []string{"GOMAXPROCS=1", "GOTRACEBACK=none"},
		SysProcAttr: attributes(p.walls, network, p.uid),
		WaitDelay:   2 * time.Second,
	}
}

// begin starts the init, in the group if there is one.
func (p *Process) begin(extra ...*os.File) error {
	ours, theirs, err := socketpair()
	if err != nil {
		return err
	}
	defer theirs.Close()
	p.control = ours
	p.cmd.ExtraFiles = append([]*os.File{theirs}, extra...)
	if p.group != nil {
		p.group.enterOnClone(p.cmd.SysProcAttr)
	}
	if err := p.cmd.Start(); err != nil {
		return &inside.StartError{Wall: inside.WallClone, Text: err.Error()}
	}
	if p.group != nil {
		if err := p.group.add(p.cmd.Process.Pid); err != nil {
			p.abandon()
			return &inside.StartError{Wall: inside.WallCgroup, Text: err.Error()}
		}
	}
	return nil
}

// instruct sets the memory limit of an init that waits, and sends it its plan
// and, unless it was started with them, the process's files 1, 2, 3 and so on.
func (p *Process) instruct(s Spec, files ...*os.File) error {
	pl, err := p.prepare(s)
	if err != nil {
		p.abandon()
		return err
	}
	text, err := json.Marshal(pl)
	if err != nil || len(text) > inside.MaxPlan {
		p.abandon()
		return fmt.Errorf("start sandbox: arguments and environment are too large (%d bytes): %w", len(text), err)
	}
	if err := send(p.control, text, files); err != nil {
		p.abandon()
		return fmt.Errorf("start sandbox: hand over plan: %w", err)
	}
	return nil
}

func (p *Process) makeGroup() (err error) {
	p.group, err = newGroup(p.walls.MemoryCgroup)
	return err
}

// prepare makes the sandbox's directories on the host and limits its group.
func (p *Process) prepare(s Spec) (inside.Plan, error) {
	pl := inside.Plan{Walls: p.walls, Spec: inside.Spec{
		Path: s.Path, Args: s.Args, Env: s.Env, Dir: s.Dir, Binds: wire(s.Binds), Network: s.Network,
		MaxProcesses: s.MaxProcesses, MaxFileBytes: s.MaxFileBytes, MaxOpenFiles: s.MaxOpenFiles,
		TmpBytes: s.TmpBytes, ExtraFiles: len(s.ExtraFiles), Open: s.Open,
	}}
	if p.walls.Root {
		pl.UID = inside.UID
		if !p.walls.UserNamespace {
			pl.UID = p.uid
		}
	}
	p.tmp = s.TmpBytes
	var err error
	if !s.Open { // else Complete does it: version 1 does not raise a limit in one step
		if pl.Data, err = p.limitMemory(s.MemoryBytes); err != nil {
			return pl, err
		}
	}
	if !p.walls.MountNamespace {
		dir, err := os.MkdirTemp("", "sandbox-")
		if err != nil {
			return pl, fmt.Errorf("make scratch directory: %w", err)
		}
		p.scratch, pl.Scratch = dir, dir
		s.Binds = append([]Bind{{Source: dir, Target: dir, Writable: true}}, s.Binds...)
	}
	return pl, p.give(s.Binds)
}

// limitMemory limits the group, or returns the RLIMIT_DATA that stands in for
// it.
func (p *Process) limitMemory(bytes int64) (data int64, err error) {
	p.memory.Store(bytes)
	switch {
	case bytes == 0:
		return 0, nil
	case p.group == nil:
		return bytes, nil
	}
	return 0, p.group.bound(bytes+inside.Bytes, p.beside())
}

// beside is the part of /tmp that counts towards the group's limit, in bytes:
// its size if it is a tmpfs, else 0.
func (p *Process) beside() int64 {
	if p.walls.MountNamespace {
		return p.tmp
	}
	return 0
}

// give makes the sandbox's uid the owner of the writable binds.
func (p *Process) give(binds []Bind) error {
	if !p.walls.Root {
		return nil
	}
	for _, b := range binds {
		if !b.Writable {
			continue
		}
		if err := os.Lchown(b.Source, p.uid, p.uid); err != nil {
			return fmt.Errorf("give writable bind: %w", err)
		}
	}
	return nil
}

// guarded runs a watcher of the process. A panic in it ends this process alone.
func (p *Process) guarded(watch func()) {
	caught := panics.Catch(watch)
	if caught == nil || !p.fault.CompareAndSwap(nil, caught) {
		return
	}
	if p.panicked != nil {
		p.panicked(caught)
	}
	go p.Kill() // which waits until watch has seen it end
}

// watch waits until the init has ended.
func (p *Process) watch(started chan<- error) {
	var last inside.Event
	p.guarded(func() { p.readEvents(started, &last) })
	err := p.cmd.Wait()
	p.exit = p.judge(last, err)
	if p.main != nil {
		_ = p.main.Release()
		p.status.Close()
	}
	if last.Failure != "" {
		started <- &inside.StartError{Wall: last.Wall, Text: last.Failure}
	} else if !last.Exited {
		select {
		case started <- fmt.Errorf("start sandbox: init ended: %w", errors.Join(err, os.ErrProcessDone)):
		default:
		}
	}
	p.cleanup()
	close(p.gone)
}

// readEvents reads the init's events until it has ended.
func (p *Process) readEvents(started chan<- error, last *inside.Event) {
	for {
		e, err := readEvent(p.control)
		if err != nil {
			return
		}
		switch {
		case e.Started:
			p.findMain()
			started <- nil
		case e.Completed && e.Failure != "":
			p.completed <- &inside.StartError{Wall: inside.WallMount, Text: e.Failure}
		case e.Completed:
			p.completed <- nil
		case e.Frozen:
			p.frozen <- e.Peak
		default:
			*last = e
		}
	}
}

// judge makes an Exit of the init's last inside.Event. Without one, the init was
// killed.
func (p *Process) judge(last inside.Event, err error) Exit {
	exit := Exit{Code: -1, Signal: syscall.SIGKILL.String()}
	if last.Exited {
		exit = Exit{Code: last.Code, PeakMemory: last.Peak}
		if last.Signal != 0 {
			exit.Code, exit.Signal = -1, syscall.Signal(last.Signal).String()
		}
	}
	if errors.Is(err, exec.ErrWaitDelay) {
		exit.Err = fmt.Errorf("a descendant still holds an output of the sandbox: %w", err)
	}
	if fault := p.fault.Load(); fault != nil {
		exit.Err = fmt.Errorf("watch the sandbox: %w", fault)
	}
	if p.group != nil {
		exit.OutOfMemory = p.overran.Load() || p.group.killedSome()
		if exit.PeakMemory == 0 {
			exit.PeakMemory = min(max(0, p.group.peak()-inside.Bytes), p.memory.Load()) // includes files in /tmp
		}
	}
	return exit
}

// cleanup removes what prepare made.
func (p *Process) cleanup() {
	if p.control != nil {
		p.control.Close()
	}
	if p.group != nil {
		p.group.remove()
	}
	if p.scratch != "" {
		os.RemoveAll(p.scratch)
	}
}

func (p *Process) abandon() {
	_ = p.cmd.Process.Kill()
	_ = p.cmd.Wait()
}

// Wait returns once the process and all its descendants have ended. Every call
// returns the same Exit.
func (p *Process) Wait() Exit {
	<-p.gone
	return p.exit
}

// Gone returns a channel that is closed once the process and all its
// descendants have ended.
func (p *Process) Gone() <-chan struct{} { return p.gone }

// Kill kills the process and all its descendants, including those that called
// setsid, and returns once they have ended.
func (p *Process) Kill() {
	p.killed.Do(func() {
		if p.walls.PIDNamespace {
			_ = p.cmd.Process.Kill() // when PID 1 ends, the kernel kills its whole namespace
			return
		}
		// Without a PID namespace only the init can find its descendants, and
		// they would survive the init's end.
		_, _ = p.control.Write([]byte{inside.CmdKill})
		select {
		case <-p.gone:
		case <-time.After(5 * time.Second):
			_ = syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL)
			_ = p.cmd.Process.Kill()
		}
	})
	<-p.gone
}

const (
	firstUID = 1_610_612_736 // first of a range of host uids that no system assigns
	uidBits  = 24
)

var nextUID atomic.Uint32

// hostUID chooses the sandbox's uid on the host: always the same for the same
// first writable directory, and otherwise one that no other sandbox of this
// process has.
func hostUID(binds []Bind) int {
	for _, b := range binds {
		if b.Writable {
			h := fnv.New32a()
			_, _ = h.Write([]byte(b.Source))
			return firstUID + int(h.Sum32()>>(32-uidBits))
		}
	}
	return firstUID + 1<<uidBits + int(nextUID.Add(1)&(1<<uidBits-1))
}
