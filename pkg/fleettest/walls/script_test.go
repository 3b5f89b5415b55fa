package walls

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/scriptfleet/scriptfleet/pkg/fleettest"
	"github.com/scriptfleet/scriptfleet/pkg/sandbox"
)

func sha256Of(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// holdsNoSecret fails if the text contains a secret of the fleet.
func holdsNoSecret(t *testing.T, what, text string) {
	t.Helper()
	for n, secret := range secrets() {
		if strings.Contains(text, secret) {
			t.Errorf("%s holds secret %d of the fleet", what, n)
		}
	}
}

func TestAScriptFindsNoCredentialInItsEnvironment(t *testing.T) {
	var got map[string]string
	res := try(t, tenantA, `
def attempt(input):
    import os, glob
    found = dict(os.environ)
    for file in glob.glob("/proc/[0-9]*/environ") + glob.glob("/proc/[0-9]*/cmdline"):
        try: found[file] = open(file).read()
        except OSError: pass
    return found
`, nil, &got)
	if got["AWS_LAMBDA_FUNCTION_NAME"] != functionOf(res) {
		t.Errorf("it does not see what is its own: %v", got)
	}
	holdsNoSecret(t, "the environment", string(res.Body))
	for name := range got {
		if strings.Contains(name, "KEY") || strings.Contains(name, "TOKEN") || strings.Contains(name, "REDIS") || strings.HasPrefix(name, "SCRIPTFLEET") {
			t.Errorf("the environment has %s", name)
		}
	}
}

// Two tenants write a mark wherever a process may write, and search everything
// that they can reach for the other's mark.
func TestAScriptFindsNoFileOfAnother(t *testing.T) {
	leave := `
def attempt(input):
    import os
    for place in ("/tmp", "/var/tmp", "/dev/shm", os.getcwd(), os.path.expanduser("~")):
        try: open(place + "/" + input["mark"], "w").write(input["mark"])
        except OSError: pass
    return os.path.exists("/tmp/" + input["mark"])
`
	look := `
def attempt(input):
    import os, sys
    found = []
    for folder, folders, files in os.walk("/"):
        folders[:] = [f for f in folders if folder + "/" + f not in ("//proc", "//sys", "//usr", sys.prefix)]
        found += [folder + "/" + name for name in files + folders if input["mark"] in name]
        if len(found) > 20: break
    for path in input["paths"]:
        try: os.listdir(path) if os.path.isdir(path) else open(path).read(1); found.append(path)
        except OSError: pass
    found += [path for path in ("/var/task/script.py",) if os.path.exists(path)]
    return found
`
	var left bool
	try(t, tenantB, leave, map[string]any{"mark": "mark-of-b"}, &left)
	var again []string
	try(t, tenantB, look, map[string]any{"mark": "mark-of-b", "paths": []string{}}, &again)
	if !left || !slices.Contains(again, "/tmp/mark-of-b") {
		t.Fatalf("the rightful one does not find its own: %v", again)
	}
	code, err := filepath.Glob(filepath.Join(fleet.data, "lambda", "unpacked", "*"))
	if err != nil || len(code) == 0 {
		t.Fatalf("the host has no code of functions: %v", err)
	}
	paths := slices.Concat(code, []string{fleet.dir, fleet.data, filepath.Join(fleet.data, "credentials.json"), filepath.Join(fleet.data, "stack.db"),
		filepath.Join(fleet.dir, "env"), filepath.Join(fleet.dir, "tenants.json"), filepath.Join(fleet.dir, "log"),
		"/etc/shadow", "/root/.ssh", "/root/.aws", "/sys", "/proc/1/root/etc", fmt.Sprintf("/proc/%d/root", fleet.PID), "/var/lib", "/boot", "/run", "/mnt"})
	var got []string
	try(t, tenantA, look, map[string]any{"mark": "mark-of-b", "paths": paths}, &got)
	if len(got) != 1 || got[0] != "/var/task/script.py" {
		t.Errorf("it reaches %v", got)
	}
}

func TestAScriptChangesNothingThatALaterRunSees(t *testing.T) {
	change := `
def attempt(input):
    import os, sys
    done = []
    for folder in ("/", "/opt", "/var/task", "/var/runtime", "/var", "/usr", "/usr/lib", "/etc", "/bin", sys.prefix, os.path.dirname(os.__file__)):
        for way in ("write", "link", "rename", "mode"):
            try:
                if way == "write": open(folder + "/walls", "w").write("x")
                elif way == "link": os.symlink("/tmp", folder + "/walls-link")
                elif way == "rename": os.rename(folder, "/tmp/walls")
                else: os.chmod(folder, 0o777)
                done.append(way + " " + folder)
            except OSError: pass
    for file in ("/var/task/script.py", "/var/task/scriptfleet_handler.py", "/var/runtime/bootstrap.py", "/etc/passwd", "/etc/resolv.conf", sys.executable):
        try: open(file, "ab").write(b"x"); done.append(file)
        except OSError: pass
    open("/tmp/own", "w").write("x")
    return done
`
	var got []string
	try(t, tenantA, change, nil, &got)
	if len(got) > 0 {
		t.Errorf("it changes %v", got)
	}
	var b string
	if try(t, tenantB, `attempt = lambda input: "as ever"`, nil, &b); b != "as ever" {
		t.Errorf("the other gets %q", b)
	}
}

// All tenants share a layer of public packages, and none can change it.
func TestAScriptChangesNothingInALayerThatItShares(t *testing.T) {
	const needs = "honest==1.0\n"
	res := runAs(t, tenantA, fleettest.Data{Requirements: needs, Script: `
import honest, os
def main(input):
    done, folder = [], os.path.dirname(honest.__file__)
    for path in (folder, honest.__file__, honest.__cached__, folder + "/honest-1.0.dist-info/RECORD"):
        for what, do in {
            "mode": lambda: os.chmod(path, 0o777), "time": lambda: os.utime(path), "rename": lambda: os.rename(path, "/tmp/x"),
            "unlink": lambda: os.unlink(path), "write": lambda: open(path, "ab").write(b"x"), "link": lambda: os.link(path, folder + "/linked"),
            "new": lambda: open(folder + "/yaml.py", "w"),
        }.items():
            try: do(); done.append(what + " " + path)
            except OSError: pass
    return done + [folder]
`})
	var done []string
	decode(t, res.Data.Output, &done)
	if len(done) != 1 || !strings.HasPrefix(done[0], "/opt/") && sandbox.Probe().MountNamespace {
		t.Errorf("it changes %v", done)
	}
	other := runAs(t, tenantB, fleettest.Data{Requirements: needs, Script: "import honest\ndef main(input):\n    return honest.VALUE\n"})
	if string(other.Data.Output) != `"honest"` || other.Data.Function.EnvHash != res.Data.Function.EnvHash {
		t.Errorf("the other gets %s", other.Body)
	}
}

func TestAScriptSeesNoProcessButItsOwn(t *testing.T) {
	code := `
def attempt(input):
    import os, glob, signal
    found = {"own": str(os.getpid()) in os.listdir("/proc")}
    for pid in input["pids"]:
        try: os.kill(pid, 0); found["signals %d" % pid] = True
        except OSError: pass
        if os.path.exists("/proc/%d/environ" % pid): 
            try: open("/proc/%d/environ" % pid).read(); found["reads %d" % pid] = True
            except OSError: pass
    for file in glob.glob("/proc/[0-9]*/comm"):
        name = open(file).read()
        if "scriptfleet" in name and "sandbox" not in name or "redis" in name: found[name] = True
    return found
`
	var got map[string]bool
	// Pids that no small namespace has.
	pids := []int{fleet.PID, os.Getpid(), os.Getppid()}
	pids = slices.DeleteFunc(pids, func(pid int) bool { return pid < 100 })
	try(t, tenantA, code, map[string]any{"pids": pids}, &got)
	if !got["own"] || len(got) != 1 {
		t.Errorf("it finds %v", got)
	}
}

func TestAScriptGetsNoPrivilege(t *testing.T) {
	var got []string
	try(t, tenantA, `
def attempt(input):
    import ctypes, os
    libc = ctypes.CDLL(None, use_errno=True)
    done = []
    def can(what, result):
        if result >= 0: done.append(what)
    can("namespace", libc.unshare(0x10000000))
    can("mount", libc.mount(b"none", b"/tmp", b"tmpfs", 0, None))
    can("chroot", libc.chroot(b"/tmp"))
    can("trace its parent", libc.ptrace(16, os.getppid(), None, None))
    can("keyring", libc.syscall(248, b"user", b"k", b"v", 1, -3))
    can("bpf", libc.syscall(321, 0, None, 0))
    can("own a file", libc.chown(b"/var/task/script.py", 1000, 1000))
    for who in (0, 1):
        try: os.setuid(who); done.append("become %d" % who)
        except OSError: pass
    try: os.kill(1, 9); done.append("kill init")
    except OSError: pass
    import socket
    for kind in ((socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP), (socket.AF_PACKET, socket.SOCK_RAW, 3)):
        try: socket.socket(*kind); done.append("raw socket")
        except OSError: pass
    return done
`, nil, &got)
	if len(got) > 0 {
		t.Errorf("it can %v", got)
	}
}

func TestAScriptFindsNoSocketOfThePlatforms(t *testing.T) {
	file := filepath.Join(fleet.dir, "socket")
	abstract := "@scriptfleet-walls-" + filepath.Base(fleet.dir)
	for _, name := range []string{file, abstract} {
		l, err := net.Listen("unix", name)
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		if c, err := net.Dial("unix", name); err != nil {
			t.Fatalf("the rightful call: %v", err)
		} else {
			c.Close()
		}
	}
	if sandbox.Probe().Landlock < 6 {
		t.Logf("this machine does not keep abstract sockets apart: %s", sandbox.Probe())
		abstract = "@none"
	}
	var got []string
	try(t, tenantA, `
def attempt(input):
    import socket, os, stat, sys
    found = []
    for name in input["names"]:
        try: socket.socket(socket.AF_UNIX).connect(name.replace("@", "\0")); found.append(name)
        except OSError: pass
    for folder, folders, files in os.walk("/"):
        folders[:] = [f for f in folders if folder + "/" + f not in ("//proc", "//sys", "//usr", sys.prefix)]
        for name in files:
            try:
                if stat.S_ISSOCK(os.lstat(folder + "/" + name).st_mode): found.append(folder + "/" + name)
            except OSError: pass
    for fd in range(3, 256):
        try:
            s = socket.socket(fileno=fd)
            if s.family != socket.AF_UNIX or s.type != socket.SOCK_STREAM: found.append("fd %d" % fd)
            s.detach()
        except OSError: pass
    return found
`, map[string]any{"names": []string{file, abstract, "/var/run/docker.sock", "/run/docker.sock", "/run/containerd/containerd.sock", "/run/dbus/system_bus_socket", "/tmp/redis.sock"}}, &got)
	if len(got) > 0 {
		t.Errorf("it reaches %v", got)
	}
}

// Scripts share the machine's network, because they need egress: so each of the
// fleet's ports asks for authentication.
func TestAScriptOpensNoPortOfTheFleets(t *testing.T) {
	var got map[string]any
	res := try(t, tenantA, `
def attempt(input):
    import urllib.request, urllib.error, socket
    def ask(url, data=None, method=None, **headers):
        try:
            with urllib.request.urlopen(urllib.request.Request(url, data, {k.replace("_", "-"): v for k, v in headers.items()}, method=method), timeout=10) as r:
                return r.status
        except urllib.error.HTTPError as e:
            return e.code
    def redis(*lines):
        answers = []
        host, port = input["redis"].split(":")
        with socket.create_connection((host, int(port)), timeout=10) as s:
            for line in lines:
                words = line.split(" ")
                s.sendall(("*%d\r\n" % len(words) + "".join("$%d\r\n%s\r\n" % (len(w), w) for w in words)).encode())
                answers.append(s.recv(10000).decode())
        return answers[-1]
    aws, admin = input["aws"], "http://" + input["admin"]
    forged = "AWS4-HMAC-SHA256 Credential=%s/20260101/us-east-1/lambda/aws4_request, SignedHeaders=host, Signature=" + "0" * 64
    return {
        "health": ask(aws + "/health"),
        "sqs": ask(aws, b"{}", X_Amz_Target="AmazonSQS.ListQueues"),
        "sts": ask(aws, b"Action=GetCallerIdentity&Version=2011-06-15"),
        "s3": ask(aws + "/" + input["bucket"]),
        "s3 link": ask(aws + "/" + input["bucket"] + "/scriptfleet/results/x?X-Amz-Signature=0&X-Amz-Credential=a/b/c/s3/e"),
        "lambda": ask(aws + "/2015-03-31/functions/"),
        "lambda invoke": ask(aws + "/2015-03-31/functions/" + input["function"] + "/invocations", b"{}"),
        "lambda forged": ask(aws + "/2015-03-31/functions/", Authorization=forged % "AKIAIOSFODNN7EXAMPLE"),
        "metrics": ask(admin + "/metrics"),
        "profile": ask(admin + "/debug/pprof/heap"),
        "trace": ask(admin + "/debug/pprof/trace?seconds=1"),
        "command line": ask(admin + "/debug/pprof/cmdline"),
        "redis": redis("KEYS *"),
        "redis set": redis("SET scriptfleet:x 1"),
        "redis script": redis("EVAL return(1) 0"),
        "redis after hello": redis("HELLO 3", "KEYS *"),
        "redis in a transaction": redis("MULTI", "KEYS *", "EXEC"),
        "redis channel": redis("SUBSCRIBE scriptfleet:x"),
        "redis monitor": redis("MONITOR"),
        "redis shutdown": redis("SHUTDOWN"),
        "redis hello with a guess": redis("HELLO 3 AUTH default scriptfleet"),
        "redis guess": redis("AUTH scriptfleet"),
        "redis empty": redis("AUTH "),
        "redis user": redis("AUTH default default"),
    }
`, map[string]any{"aws": fleet.set["AWS_ENDPOINT_URL"], "admin": fleet.admin, "redis": redisAddr(), "bucket": fleet.set["SCRIPTFLEET_BUCKET"], "function": "scriptfleet-x"}, &got)
	for what, answer := range got {
		switch a := answer.(type) {
		case float64:
			// Only pages that show nothing except that the fleet runs are open.
			if open := what == "health" || what == "metrics"; open && a != 200 || !open && a != 403 && a != 401 {
				t.Errorf("%s answers with %v", what, a)
			}
		case string:
			if !strings.HasPrefix(a, "-NOAUTH") && !strings.HasPrefix(a, "-WRONGPASS") && !strings.HasPrefix(a, "-ERR") && !strings.HasPrefix(a, "-EXECABORT") {
				t.Errorf("%s answers %q", what, a)
			}
		}
	}
	holdsNoSecret(t, "what the ports answer", string(res.Body))
}

// No script can listen where the fleet listens, so no client of the fleet
// reaches a script.
func TestAScriptTakesNoPortOfTheFleets(t *testing.T) {
	_, aws, _ := strings.Cut(fleet.set["AWS_ENDPOINT_URL"], "http://")
	var ports []int
	for _, addr := range []string{aws, redisAddr(), fleet.admin} {
		a, err := net.ResolveTCPAddr("tcp", addr)
		if err != nil || !a.IP.Equal(net.IPv4(127, 0, 0, 1)) {
			t.Fatalf("the fleet listens at %s: %v", addr, err)
		}
		ports = append(ports, a.Port)
	}
	var got []string
	try(t, tenantA, `
def attempt(input):
    import socket
    taken = []
    for port in input["ports"]:
        for host in ("127.0.0.1", "0.0.0.0"):
            s = socket.socket()
            s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            try: s.bind((host, port)); s.listen(); taken.append("%s:%d" % (host, port))
            except OSError: pass
    return taken
`, map[string]any{"ports": ports}, &got)
	if len(got) > 0 {
		t.Errorf("it listens on %v", got)
	}
}

// A script reaches what this machine reaches, so this fails on a machine whose
// metadata service returns a role: there the operator must block the service
// for the sandbox's uids, or for the machine.
func TestAScriptGetsNoCredentialFromTheMetadataAddress(t *testing.T) {
	var got []string
	try(t, tenantA, `
def attempt(input):
    import urllib.request
    found = []
    def ask(url, method="GET", **headers):
        try: return urllib.request.urlopen(urllib.request.Request(url, None, headers, method=method), timeout=1).read().decode("utf-8", "replace")
        except Exception: return ""
    for host in ("http://169.254.169.254", "http://169.254.170.2"):
        token = ask(host + "/latest/api/token", "PUT", **{"X-aws-ec2-metadata-token-ttl-seconds": "60"})
        name = ask(host + "/latest/meta-data/iam/security-credentials/", **{"X-aws-ec2-metadata-token": token})
        keys = ask(host + "/latest/meta-data/iam/security-credentials/" + name, **{"X-aws-ec2-metadata-token": token}) if name else ""
        if "SecretAccessKey" in keys: found.append(host)
        if not name: break
    return found
`, nil, &got)
	if len(got) > 0 {
		t.Errorf("it gets this machine's credentials at %v", got)
	}
}
