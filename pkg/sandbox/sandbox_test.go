//go:build linux

package sandbox

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/scriptfleet/scriptfleet/pkg/fleettest/process"
	"github.com/scriptfleet/scriptfleet/pkg/fleettest/wait"
	"github.com/scriptfleet/scriptfleet/pkg/interpreter"
)

func TestMain(m *testing.M) {
	if marker := os.Getenv("SANDBOX_STARTER"); marker != "" {
		startAndHang(marker)
	}
	os.Exit(m.Run())
}

// python is an interpreter that every user can execute.
func python(t testing.TB) interpreter.Interpreter {
	t.Helper()
	set, err := interpreter.Default(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, i := range set {
		if i.Prefix == "/usr" {
			return i
		}
	}
	i, _ := set.Newest()
	return i
}

// script is a Spec that runs Python code.
func script(t testing.TB, code string) Spec {
	i := python(t)
	return Spec{
		Path: i.Path, Args: []string{"-I", "-u", "-W", "ignore", "-c", code}, Env: []string{"PATH=/usr/bin:/bin"},
		Binds: []Bind{{Source: i.Prefix}}, Network: true, MemoryBytes: 256 << 20,
	}
}

// run runs a Spec to its end, behind the given walls, or all walls of this
// machine.
func run(t testing.TB, s Spec, walls ...Report) (string, Exit) {
	t.Helper()
	w := Probe()
	if len(walls) > 0 {
		w = walls[0]
	}
	var out bytes.Buffer
	s.Stdout, s.Stderr = &out, &out
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	p, err := start(ctx, s, w)
	if err != nil {
		t.Fatal(err)
	}
	exit := p.Wait()
	return strings.TrimSpace(out.String()), exit
}

func TestReportNamesWhatIsOnAndWhatIsMissing(t *testing.T) {
	r := Report{PIDNamespace: true, UserNamespace: true, Landlock: 3, MemoryCgroup: 2}
	want := "sandbox: own uid, user ns, pid ns, landlock (ABI 3), cgroup memory (v2); missing: mount ns, private /proc, ipc ns, net ns, seccomp, rlimits"
	if got := r.String(); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestProbeFindsThisMachinesWalls(t *testing.T) {
	r := Probe()
	t.Log(r, r.Failures)
	if !r.Rlimits {
		t.Error("no machine is without rlimits")
	}
}

func TestProbeDoesWithoutWhatFails(t *testing.T) {
	r := everything()
	r.Landlock = 99 // a version of no kernel: the ruleset is refused
	r.MemoryCgroup = 0
	got := probe(r)
	if len(got.Failures) > 0 && got.Landlock != 0 {
		t.Errorf("landlock is still on: %v", got.Failures)
	}
	if !got.Rlimits || got.Seccomp != r.Seccomp {
		t.Errorf("other walls fell too: %s", got)
	}
}

func TestOnlyTheGivenEnvironmentIsVisible(t *testing.T) {
	t.Setenv("FLEET_SECRET", "hunter2")
	s := script(t, "import os; print(sorted(k for k in os.environ if k != 'LC_CTYPE'))")
	s.Env = []string{"GIVEN=1"}
	if out, _ := run(t, s); out != "['GIVEN']" {
		t.Error(out)
	}
}

func TestNoFileOfTheHostIsReadable(t *testing.T) {
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	secret := filepath.Join(dir, "secret")
	if err := os.WriteFile(secret, []byte("x"), 0o644); err != nil {
		t.Fatal(err)
	}
	out, _ := run(t, script(t, fmt.Sprintf(`
import os
for p in [%q, %q, "/etc/shadow", "/home", "/proc/1/environ", "/proc/1/root/etc", "/var/lib", "/run"]:
    try:
        (os.listdir if os.path.isdir(p) else open)(p)
        print("reads", p)
    except OSError:
        pass
`, secret, dir)))
	if out != "" {
		t.Error(out)
	}
}

func TestNoProcessOfTheHostIsVisible(t *testing.T) {
	out, _ := run(t, script(t, "import os; print(len([p for p in os.listdir('/proc') if p.isdigit()]) <= 2, os.getpid() < 100)"))
	if out != "True True" {
		t.Error(out)
	}
}

func TestNoDescriptorOfTheStarterIsOpen(t *testing.T) {
	f, err := os.CreateTemp(t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, _, errno := syscall.Syscall(syscall.SYS_FCNTL, f.Fd(), syscall.F_SETFD, 0); errno != 0 {
		t.Fatal(errno) // without close-on-exec, as a careless parent would leave it
	}
	out, _ := run(t, script(t, `
import os
def is_open(fd):
    try: os.fstat(fd)
    except OSError: return False
    return True
print([fd for fd in range(3, 300) if is_open(fd)])`))
	if out != "[]" {
		t.Error(out)
	}
}

func TestItRunsWithoutPrivileges(t *testing.T) {
	out, _ := run(t, script(t, `
import os
s = dict(l.split(":\t", 1) for l in open("/proc/self/status").read().splitlines() if ":\t" in l)
print(os.getuid(), os.getgid(), [s[k].strip("0") for k in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")], s["NoNewPrivs"], s["Seccomp"])
try:
    os.setuid(0); print("is root")
except OSError: pass`))
	if out != "1000 1000 ['', '', '', '', ''] 1 2" {
		t.Error(out)
	}
}

func TestOnTheHostItOwnsNothing(t *testing.T) {
	if os.Getuid() != 0 {
		return // an ordinary user can map only its own uid
	}
	p, err := Start(t.Context(), Spec{Path: "/bin/sleep", Args: []string{"60"}, MemoryBytes: 64 << 20})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Kill()
	info, err := os.Stat(fmt.Sprintf("/proc/%d", p.main.Pid))
	if err != nil {
		t.Fatal(err)
	}
	if uid := info.Sys().(*syscall.Stat_t).Uid; uid < firstUID {
		t.Errorf("runs as uid %d of the host", uid)
	}
}

const tryCalls = `
import ctypes, os, platform
libc = ctypes.CDLL(None, use_errno=True)
libc.syscall.restype = ctypes.c_long
x86 = platform.machine() == "x86_64"
calls = {"mount": (165, 40), "ptrace": (101, 117), "unshare": (272, 97), "keyctl": (250, 219), "bpf": (321, 280),
         "io_uring_setup": (425, 425), "perf_event_open": (298, 241), "setns": (308, 268), "kexec_load": (246, 104),
         "process_vm_readv": (310, 270), "open_by_handle_at": (304, 265), "userfaultfd": (323, 282)}
for name, numbers in calls.items():
    ctypes.set_errno(0)
    args = [ctypes.c_long(0x10000000 if name == "unshare" else 0)] + [ctypes.c_long(0)] * 5
    r = libc.syscall(ctypes.c_long(numbers[0] if x86 else numbers[1]), *args)
    if not (r == -1 and ctypes.get_errno() == 1):
        print(name, r, ctypes.get_errno())
NEWUSER, SIGCHLD = 0x10000000, 17
pid = libc.syscall(ctypes.c_long(56 if x86 else 220), ctypes.c_long(NEWUSER | SIGCHLD), *[ctypes.c_long(0)] * 4)
if pid == 0: os._exit(0)
if pid > 0: print("clone made a namespace")
`

func TestDangerousSystemCallsAreRefused(t *testing.T) {
	if out, _ := run(t, script(t, tryCalls)); out != "" {
		t.Error(out)
	}
}

func TestWritesEndAtTmpAndWritableBinds(t *testing.T) {
	mine, readable := t.TempDir(), t.TempDir()
	s := script(t, `
import os
for d in ["/", "/usr", "/etc", "/mine", "/readable", "/tmp", "/dev", "/proc", "/var"]:
    try:
        open(d + "/file", "w").write("x"); print(d)
    except OSError: pass`)
	s.Binds = append(s.Binds, Bind{Source: mine, Target: "/mine", Writable: true}, Bind{Source: readable, Target: "/readable"})
	if out, _ := run(t, s); out != "/mine\n/tmp" {
		t.Error(out)
	}
	if _, err := os.ReadFile(filepath.Join(mine, "file")); err != nil {
		t.Error(err)
	}
}

func TestFilesAndTmpAreBounded(t *testing.T) {
	s := script(t, `
import os, signal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
def fill(name):
    n = 0
    try:
        with open(name, "wb", buffering=0) as f:
            while n < 64: n += f.write(b"x" * 1048576) // 1048576
    except OSError as e: print(e.errno, n)
fill("/tmp/one"); fill("/tmp/two")`)
	s.MaxFileBytes, s.TmpBytes = 8<<20, 12<<20
	if out, _ := run(t, s); out != "27 8\n28 4" { // EFBIG, then ENOSPC
		t.Error(out)
	}
}

func TestForkBombIsBounded(t *testing.T) {
	s := script(t, `
import os, time
n = 0
try:
    while n < 1000:
        if os.fork() == 0: time.sleep(30); os._exit(0)
        n += 1
except OSError as e: print(e.errno, n < 64)`)
	s.MaxProcesses = 64
	if out, _ := run(t, s); out != "11 True" {
		t.Error(out)
	}
}

func TestTmpIsBesideTheMemory(t *testing.T) {
	s := script(t, `
f = open("/tmp/x", "wb", buffering=0)
n = 0
try:
    while True: f.write(b"x" * 1048576); n += 1
except OSError as e: print(e.errno, n)`)
	s.MemoryBytes, s.TmpBytes = 64<<20, 96<<20
	if out, exit := run(t, s); out != "28 96" || exit.OutOfMemory { // ENOSPC
		t.Errorf("%s %+v", out, exit)
	}
}

func TestMemoryIsBoundedBesideAFullTmp(t *testing.T) {
	if Probe().MemoryCgroup == 0 {
		return // rlimits do not count /tmp
	}
	s := script(t, `
import time
with open("/tmp/x", "wb") as f:
    for _ in range(90): f.write(b"x" * 1048576)
x = []
while True: x.append(bytearray(1 << 20)); print(len(x), flush=True); time.sleep(0.002)`)
	s.MemoryBytes, s.TmpBytes = 64<<20, 96<<20
	out, exit := run(t, s)
	lines := append([]string{"0"}, strings.Fields(out)...)
	if took, _ := strconv.Atoi(lines[len(lines)-1]); !exit.OutOfMemory || exit.Signal != "killed" || took < 20 || took > 110 {
		t.Errorf("it took %d MB: %+v", took, exit)
	}
}

func TestTheNameOfTheHostResolves(t *testing.T) {
	out, _ := run(t, script(t, "import socket\nprint(socket.gethostbyname(socket.gethostname()) != '')"))
	if out != "True" {
		t.Error(out)
	}
}

func TestMemoryHogDies(t *testing.T) {
	s := script(t, "x = []\nwhile True: x.append(bytearray(1 << 20))")
	s.MemoryBytes = 64 << 20
	out, exit := run(t, s)
	if Probe().MemoryCgroup > 0 && (!exit.OutOfMemory || exit.Signal != "killed") {
		t.Errorf("%+v", exit)
	}
	if exit.Success() {
		t.Error(out)
	}
}

func TestMemoryOfAllProcessesCounts(t *testing.T) {
	if Probe().MemoryCgroup == 0 {
		return // rlimits are per process
	}
	s := script(t, `
import os, time
for _ in range(8):
    if os.fork() == 0:
        x = bytearray(16 << 20); time.sleep(5); os._exit(0)
print([os.waitstatus_to_exitcode(os.wait()[1]) if hasattr(os, "waitstatus_to_exitcode") else os.wait()[1] for _ in range(1)])`)
	s.MemoryBytes = 64 << 20
	if _, exit := run(t, s); !exit.OutOfMemory {
		t.Errorf("%+v", exit)
	}
}

func TestExitTellsCodeAndSignal(t *testing.T) {
	for code, want := range map[string]Exit{
		"import os; os._exit(7)":                      {Code: 7},
		"import os; os.abort()":                       {Code: -1, Signal: "aborted"},
		"import os; os.kill(os.getpid(), 9)":          {Code: -1, Signal: "killed"},
		"import os, signal; os.kill(os.getpid(), 11)": {Code: -1, Signal: "segmentation fault"},
	} {
		_, exit := run(t, script(t, code))
		exit.PeakMemory = 0
		if exit != want {
			t.Errorf("%s: %+v", code, exit)
		}
	}
}

func TestNetworkIsThereOnlyWhenAskedFor(t *testing.T) {
	port := listen(t)
	code := fmt.Sprintf("import socket; print(socket.socket().connect_ex(('127.0.0.1', %d)))", port)
	s := script(t, code)
	if out, _ := run(t, s); out != "0" {
		t.Error("with network: " + out)
	}
	s.Network = false
	if out, _ := run(t, s); out != "111" && out != "13" {
		t.Error("without network: " + out)
	}
}

func TestCommandThatIsNotThereIsAnError(t *testing.T) {
	_, err := Start(t.Context(), Spec{Path: "/usr/bin/no-such-program"})
	if err == nil || !strings.Contains(err.Error(), "no-such-program") {
		t.Error(err)
	}
}

func TestStdinReachesTheProcess(t *testing.T) {
	s := script(t, "import sys; print(sys.stdin.read()[::-1])")
	s.Stdin = strings.NewReader("abc")
	if out, _ := run(t, s); out != "cba" {
		t.Error(out)
	}
}

// startAndHang is the starter that TestItEndsWithItsStarter kills.
func startAndHang(marker string) {
	p, err := Start(context.Background(), Spec{Path: "/bin/sh", Args: []string{"-c", "setsid sleep 300 & sleep 300; : " + marker}, MemoryBytes: 64 << 20})
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Println("started")
	p.Wait()
	os.Exit(0)
}

func TestItEndsWithItsStarter(t *testing.T) {
	marker := fmt.Sprintf("starter-%d", time.Now().UnixNano())
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), "SANDBOX_STARTER="+marker)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	first := make([]byte, 64)
	if n, _ := out.Read(first); string(first[:n]) != "started\n" {
		t.Fatalf("starter says %q", first[:n])
	}
	if len(process.Marked("cmdline", marker)) == 0 {
		t.Fatal("nothing runs")
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	wait.Until(t, 10*time.Second, "the sandbox is still there", func() bool { return len(process.Marked("cmdline", marker)) == 0 })
}

func BenchmarkStart(b *testing.B) {
	for b.Loop() {
		run(b, Spec{Path: "/bin/true", Network: true, MemoryBytes: 64 << 20})
	}
}
