// Package redistest starts a real redis-server for a test, and can pause it,
// flush it, kill it, and start it again at its address.
//
// Each server belongs to one test: it listens on a free loopback port, stores
// nothing on disk, and is killed by its pid when the test ends. On Linux it is
// also killed if the test process is killed or panics. Without redis-server on
// the machine the test fails: tests are never skipped.
package redistest

import (
	"bufio"
	"bytes"
	"fmt"
	"net"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/scriptfleet/scriptfleet/pkg/fleettest/process"
	"github.com/scriptfleet/scriptfleet/pkg/fleettest/program"
	"github.com/scriptfleet/scriptfleet/pkg/fleettest/wait"
)

// startWithin bounds a server's start. A start takes about 20 ms; the rest is
// for a loaded machine.
const startWithin = 20 * time.Second

// Server is a redis-server process. Its methods must be called by the test's
// goroutine.
type Server struct {
	Addr string // host:port; the same after Stop and Restart
	URL  string // redis://host:port/0

	t    testing.TB
	path string
	args []string
	proc *life
}

// Start starts a redis-server and waits until it answers; args are appended to
// its command line. Set a password later, by Do("CONFIG", "SET", "requirepass",
// …), because Start connects without one. The server ends with the test.
func Start(t testing.TB, args ...string) *Server {
	t.Helper()
	s := &Server{t: t, path: program.OnPath(t, "redis-server"), args: append([]string{"--save", "", "--appendonly", "no", "--dir", t.TempDir()}, args...)}
	t.Cleanup(s.Stop)
	// Another process may take the free port before the server listens on it:
	// then another port is tried.
	for try := 0; ; try++ {
		s.Addr = freeAddr(t)
		s.URL = "redis://" + s.Addr + "/0"
		err := s.start()
		if err == nil {
			return s
		}
		if try == 4 {
			t.Fatalf("start redis-server: %v", err)
		}
	}
}

// Pause stops the process (SIGSTOP): connections stay open and get no answers.
// TTLs continue to run.
func (s *Server) Pause() { s.signal(syscall.SIGSTOP) }

// Resume continues a paused server (SIGCONT).
func (s *Server) Resume() { s.signal(syscall.SIGCONT) }

// Stop kills the server: all connections break and all data is lost. A second
// Stop does nothing.
func (s *Server) Stop() {
	if s.proc == nil {
		return
	}
	s.proc.Kill()
	s.proc = nil
}

// Restart starts the server again, empty, at the same address; it stops a
// running server first.
func (s *Server) Restart() {
	s.t.Helper()
	s.Stop()
	if err := s.start(); err != nil {
		s.t.Fatalf("restart redis-server: %v", err)
	}
}

// FlushAll deletes all keys; loaded scripts stay.
func (s *Server) FlushAll() {
	s.t.Helper()
	if answer := s.Do("FLUSHALL"); answer != "+OK" {
		s.t.Fatalf("flush redis: %s", answer)
	}
}

// Do sends one command and returns the first line of the raw answer, such as
// "+OK" or ":3". The words must not contain spaces.
func (s *Server) Do(words ...string) string {
	s.t.Helper()
	answer, err := ask(s.Addr, strings.Join(words, " "), startWithin)
	if err != nil {
		s.t.Fatalf("ask redis %s: %v", words[0], err)
	}
	return answer
}

// Follow makes the server a replica of another, and waits until it is in sync.
func (s *Server) Follow(primary *Server) {
	s.t.Helper()
	host, port, _ := net.SplitHostPort(primary.Addr)
	primary.Do("CONFIG", "SET", "repl-diskless-sync-delay", "0")
	s.Do("REPLICAOF", host, port)
	wait.Until(s.t, startWithin, "the replica does not follow", func() bool {
		link, err := askInfo(s.Addr, "replication", "master_link_status")
		return err == nil && link == "up"
	})
}

// Promote makes a replica a primary.
func (s *Server) Promote() { s.t.Helper(); s.Do("REPLICAOF", "NO", "ONE") }

func (s *Server) signal(sig syscall.Signal) {
	s.t.Helper()
	if s.proc == nil {
		s.t.Fatalf("send %v to redis-server: it is stopped", sig)
	}
	if err := s.proc.Signal(sig); err != nil {
		s.t.Fatalf("send %v to redis-server: %v", sig, err)
	}
}

func (s *Server) start() error {
	_, port, _ := net.SplitHostPort(s.Addr)
	p, err := launch(s.path, append([]string{"--port", port, "--bind", "127.0.0.1"}, s.args...))
	if err != nil {
		return err
	}
	if err := p.awaitAnswer(s.Addr); err != nil {
		p.Kill()
		return err
	}
	s.proc = p
	return nil
}

// life is one process of a server.
type life struct {
	*process.Child
	out *bytes.Buffer // may be read once it has exited
}

func launch(path string, args []string) (*life, error) {
	out := new(bytes.Buffer)
	cmd := exec.Command(path, args...)
	cmd.Stdout, cmd.Stderr = out, out
	child, err := process.Launch(cmd)
	return &life{child, out}, err
}

func (l *life) awaitAnswer(addr string) error {
	answers := wait.Soon(startWithin, func() bool {
		// The server reports its own pid: an answer of another process that has
		// taken the port does not count.
		pid, err := askPID(addr)
		return err == nil && pid == l.PID || l.Gone()
	})
	switch {
	case l.Gone():
		return fmt.Errorf("it ended at once: %s", l.out)
	case !answers:
		return fmt.Errorf("no answer within %s", startWithin)
	}
	return nil
}

func askPID(addr string) (int, error) {
	digits, err := askInfo(addr, "server", "process_id")
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(digits)
}

// askInfo returns one field of a section of INFO.
func askInfo(addr, section, field string) (string, error) {
	conn, err := net.DialTimeout("tcp", addr, time.Second)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(time.Second))
	if _, err := conn.Write([]byte("INFO " + section + "\r\n")); err != nil {
		return "", err
	}
	lines := bufio.NewScanner(conn)
	for lines.Scan() {
		if v, ok := strings.CutPrefix(lines.Text(), field+":"); ok {
			return v, nil
		}
	}
	return "", fmt.Errorf("no %s in the answer: %w", field, lines.Err())
}

func ask(addr, command string, within time.Duration) (string, error) {
	conn, err := net.DialTimeout("tcp", addr, within)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(within))
	if _, err := conn.Write([]byte(command + "\r\n")); err != nil {
		return "", err
	}
	line, err := bufio.NewReader(conn).ReadString('\n')
	return strings.TrimRight(line, "\r\n"), err
}

func freeAddr(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatalf("find a free port: %v", err)
	}
	defer l.Close()
	return l.Addr().String()
}
