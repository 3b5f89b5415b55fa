//go:build linux

package sandbox

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/scriptfleet/scriptfleet/pkg/fleettest/process"
	"github.com/scriptfleet/scriptfleet/pkg/fleettest/wait"
)

// attempt is an attempt to escape that exactly one wall prevents. Its script
// prints open if it succeeds.
type attempt struct {
	wall    string
	on      func(Report) bool // whether this machine supports the wall
	without func(*Report)
	script  func(t *testing.T) Spec
}

var attempts = []attempt{
	{"pid namespace", func(r Report) bool { return r.PIDNamespace }, func(r *Report) { r.PIDNamespace, r.Proc = false, false }, func(t *testing.T) Spec {
		return script(t, fmt.Sprintf(`
import os
try: os.kill(%d, 0); print("open")
except PermissionError: print("open")
except ProcessLookupError: print("walled")`, os.Getpid()))
	}},
	{"user namespace", func(r Report) bool { return r.UserNamespace && r.Root }, func(r *Report) { r.UserNamespace = false }, func(t *testing.T) Spec {
		return script(t, `print("open" if "4294967295" in open("/proc/self/uid_map").read() else "walled")`)
	}},
	{"mount namespace", func(r Report) bool { return r.MountNamespace }, func(r *Report) { r.MountNamespace, r.Proc, r.Landlock = false, false, 0 }, func(t *testing.T) Spec {
		s := script(t, `
import os
print("open" if os.path.exists("/sys/kernel") else "walled")`)
		s.Path, s.Binds = "/usr/bin/python3", nil // without binds, use an interpreter that any uid can reach
		return s
	}},
	{"ipc namespace", func(r Report) bool { return r.IPCNamespace }, func(r *Report) { r.IPCNamespace = false }, func(t *testing.T) Spec {
		key := 0x5f000000 + os.Getpid()
		id, err := unix.SysvShmGet(key, 4096, unix.IPC_CREAT|0o666)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _, _ = unix.SysvShmCtl(id, unix.IPC_RMID, nil) })
		return script(t, fmt.Sprintf(`
import ctypes
print("open" if ctypes.CDLL(None).shmget(%d, 4096, 0o666) >= 0 else "walled")`, key))
	}},
	{"network namespace", func(r Report) bool { return r.NetworkNamespace }, func(r *Report) { r.NetworkNamespace, r.Landlock = false, 0 }, func(t *testing.T) Spec {
		s := script(t, fmt.Sprintf(`
import socket
print("walled" if socket.socket().connect_ex(("127.0.0.1", %d)) else "open")`, listen(t)))
		s.Network = false
		return s
	}},
	{"landlock", func(r Report) bool { return r.Landlock >= 6 }, func(r *Report) { r.Landlock = 0 }, func(t *testing.T) Spec {
		name := "@sandbox-test-" + mark()
		l, err := net.Listen("unix", name)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { l.Close() })
		return script(t, fmt.Sprintf(`
import socket
print("walled" if socket.socket(socket.AF_UNIX).connect_ex(%q.replace("@", "\0")) else "open")`, name))
	}},
	{"seccomp", func(r Report) bool { return r.Seccomp }, func(r *Report) { r.Seccomp = false }, func(t *testing.T) Spec {
		return script(t, `
import ctypes
print("walled" if ctypes.CDLL(None).unshare(0x10000000) else "open")`)
	}},
	{"rlimits", func(r Report) bool { return r.Rlimits }, func(r *Report) { r.Rlimits = false }, func(t *testing.T) Spec {
		s := script(t, `
import signal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
try:
    open("/tmp/file", "wb").write(b"x" * (2 << 20)); print("open")
except OSError: print("walled")`)
		s.MaxFileBytes = 1 << 20
		return s
	}},
	{"memory cgroup", func(r Report) bool { return r.MemoryCgroup > 0 }, func(r *Report) { r.MemoryCgroup = 0 }, func(t *testing.T) Spec {
		s := script(t, `
import os
for _ in range(8):
    r, w = os.pipe()
    if os.fork() == 0:
        x = bytearray(24 << 20); os.write(w, b"x"); os.read(os.pipe()[0], 1)
    if os.fork() == 0: os._exit(0)
    os.close(w)
    if not os.read(r, 1): print("walled"); break
else: print("open")`)
		s.MemoryBytes = 96 << 20
		return s
	}},
}

func TestEachWallHoldsWhatNoOtherHolds(t *testing.T) {
	for _, a := range attempts {
		t.Run(a.wall, func(t *testing.T) {
			if !a.on(Probe()) {
				t.Logf("this machine gives none: %s", Probe())
				return
			}
			if out, exit := run(t, a.script(t)); out != "walled" && !exit.OutOfMemory {
				t.Errorf("with the wall: %q %+v", out, exit)
			}
			fewer := Probe()
			a.without(&fewer)
			if out, exit := run(t, a.script(t), fewer); out != "open" {
				t.Errorf("without the wall the attempt proves nothing: %q %+v", out, exit)
			}
		})
	}
}

// least is the Report of a machine without namespaces and cgroups.
func least() Report {
	r := Probe()
	return Report{Root: r.Root, Landlock: r.Landlock, Seccomp: r.Seccomp, Rlimits: r.Rlimits}
}

func TestWithoutNamespacesLandlockKeepsTheHostsFiles(t *testing.T) {
	if least().Landlock == 0 {
		t.Logf("this machine has no landlock: %s", Probe())
		return
	}
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	secret := filepath.Join(dir, "secret")
	if err := os.WriteFile(secret, []byte("x"), 0o644); err != nil {
		t.Fatal(err)
	}
	mine := publicTemp(t)
	s := script(t, fmt.Sprintf(`
import os, tempfile
for p in [%q, %q, "/etc/shadow", "/home", "/proc/1/cmdline", "/proc/self/environ", "/var/lib"]:
    try:
        (os.listdir if os.path.isdir(p) else open)(p); print("reads", p)
    except OSError: pass
open(os.path.join(tempfile.gettempdir(), "file"), "w").write("x")
try: open("/tmp/file", "w"); print("writes to the host's /tmp")
except OSError: pass
print(os.getcwd() == tempfile.gettempdir(), open(%q).read())`, secret, dir, mine+"/given"))
	if err := os.WriteFile(mine+"/given", []byte("given"), 0o644); err != nil {
		t.Fatal(err)
	}
	// An interpreter below a private home cannot be reached by another uid if
	// nothing can be bound.
	s.Path, s.Binds = "/usr/bin/python3", []Bind{{Source: mine, Target: "/elsewhere"}}
	if out, exit := run(t, s, least()); out != "True given" {
		t.Errorf("%q %+v", out, exit)
	}
}

// publicTemp is a directory that every uid can reach.
func publicTemp(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "public-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestWithoutNamespacesKillLeavesNoDescendant(t *testing.T) {
	for name, code := range map[string]string{"killed": escape + "time.sleep(300)", "ended": escape} {
		t.Run(name, func(t *testing.T) {
			marker := mark()
			attack := `
for pid in (os.getppid(), -1, -os.getppid()):
    try: os.kill(pid, 9); print("kills", pid)
    except OSError: pass
`
			code = strings.Replace(code, "print(\"ready\"", attack+"print(\"ready\"", 1)
			s := script(t, code)
			s.Path, s.Binds = "/usr/bin/python3", nil
			p := startSpec(t, s, marker, least())
			if name == "killed" {
				wait.Until(t, 10*time.Second, "the script starts no process that escapes", func() bool { return len(process.Marked("cmdline", marker)) >= 4 })
				p.Kill()
			}
			p.Wait()
			if left := process.Marked("cmdline", marker); len(left) > 0 {
				t.Errorf("left: %v", left)
			}
		})
	}
}

func TestNoCgroupIsLeftBehind(t *testing.T) {
	version, parent := cgroupParent()
	if version == 0 {
		t.Logf("this machine gives none: %s", Probe())
		return
	}
	run(t, Spec{Path: "/bin/true", MemoryBytes: 64 << 20})
	left, _ := filepath.Glob(filepath.Join(parent, fmt.Sprintf("%s%d-*", groupPrefix, os.Getpid())))
	if len(left) > 0 {
		t.Errorf("left: %v", left)
	}
}

func TestTheGroupsOfADeadStarterAreSwept(t *testing.T) {
	version, parent := cgroupParent()
	if version == 0 {
		t.Logf("this machine gives none: %s", Probe())
		return
	}
	stale := filepath.Join(parent, groupPrefix+"999999999-1") // larger than any pid
	if err := os.Mkdir(stale, 0o755); err != nil {
		t.Fatal(err)
	}
	sweepGroups()
	if _, err := os.Stat(stale); err == nil {
		t.Error("it is still there")
		_ = os.Remove(stale)
	}
}
