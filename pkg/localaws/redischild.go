package localaws

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapio"
)

// redisChild is a redis-server that listens on a unix socket. It keeps nothing on
// disk and ends with this process, also at kill -9. If it ends by itself, it is
// started again, empty: that delays the fleet and loses nothing.
type redisChild struct {
	path, password string
	socket         string
	version        string
	log            *zap.Logger

	stop    context.CancelFunc
	running sync.WaitGroup
	clients sync.WaitGroup
}

const (
	redisReadyWithin = 10 * time.Second
	redisRestarts    = 200 * time.Millisecond // after it ended
	longestSocket    = len(syscall.RawSockaddrUnix{}.Path) - 1
)

// startRedisChild starts the program at path, with its socket in dir. It fails if
// the server does not answer, or is older than the fleet needs.
func startRedisChild(path, password, dir string, log *zap.Logger) (*redisChild, error) {
	c := &redisChild{path: path, password: password, socket: filepath.Join(dir, "redis.sock"), log: log}
	if len(c.socket) > longestSocket {
		return nil, fmt.Errorf("start %s: the path of its socket is too long (%s); set TMPDIR to a shorter one", path, c.socket)
	}
	var life context.Context
	var err error
	life, c.stop = context.WithCancel(context.Background())
	ended := make(chan error, 1)
	c.running.Go(func() { c.run(life, ended) })
	if c.version, err = c.awaitVersion(ended); err == nil && !recentEnough(c.version) {
		err = fmt.Errorf("it is version %s, and the fleet needs 6.2 or later", c.version)
	}
	if err != nil {
		c.close()
		return nil, err
	}
	return c, nil
}

func (c *redisChild) name() string { return redisProgram + " " + c.version }

// run keeps a server running until life ends. It sends the first one's end to
// ended.
func (c *redisChild) run(life context.Context, ended chan<- error) {
	// The kernel kills the child when the thread that started it ends, so the
	// thread must live as long as the child.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	for {
		out := &zapio.Writer{Log: c.log, Level: zap.DebugLevel}
		cmd := exec.CommandContext(life, c.path, "-")
		cmd.Dir, cmd.Env = filepath.Dir(c.socket), []string{"LANG=C"}
		cmd.Stdin = strings.NewReader(c.settings()) // others can read a command line
		cmd.Stdout, cmd.Stderr = out, out
		// In its own group it does not receive a Ctrl-C: the stack's drain needs it.
		cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
		err := cmd.Run()
		_ = out.Close()
		if life.Err() != nil {
			return
		}
		select {
		case ended <- err:
		default:
		}
		c.log.Error("redis-server has ended, and is started again", zap.Error(err))
		select {
		case <-life.Done():
			return
		case <-time.After(redisRestarts):
		}
	}
}

func (c *redisChild) settings() string {
	return strings.Join([]string{
		"port 0", fmt.Sprintf("unixsocket %q", c.socket), "unixsocketperm 700", "requirepass " + c.password,
		`save ""`, "appendonly no", "daemonize no", "loglevel warning", "",
	}, "\n")
}

// awaitVersion waits for the server's first answer, or its end.
func (c *redisChild) awaitVersion(ended <-chan error) (string, error) {
	late := time.After(redisReadyWithin)
	for {
		version, err := c.askVersion()
		if err == nil {
			return version, nil
		}
		select {
		case err := <-ended:
			return "", fmt.Errorf("start %s: it ended at once (%v)", c.path, err) //nolint:errorlint // nil where it exits with 0
		case <-late:
			return "", fmt.Errorf("start %s: no answer within %s: %w", c.path, redisReadyWithin, err)
		case <-time.After(2 * time.Millisecond):
		}
	}
}

func (c *redisChild) askVersion() (string, error) {
	conn, err := net.Dial("unix", c.socket)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(redisReadyWithin))
	if _, err := fmt.Fprintf(conn, "AUTH %s\r\nINFO server\r\n", c.password); err != nil {
		return "", err
	}
	lines := bufio.NewScanner(conn)
	for lines.Scan() {
		if version, ok := strings.CutPrefix(lines.Text(), "redis_version:"); ok {
			return version, nil
		}
	}
	return "", errors.Join(lines.Err(), io.ErrUnexpectedEOF)
}

// recentEnough tells whether a version is 6.2 or later.
func recentEnough(version string) bool {
	var major, minor int
	_, err := fmt.Sscanf(version, "%d.%d", &major, &minor)
	return err == nil && (major > 6 || major == 6 && minor >= 2)
}

// serve connects the client to the server.
func (c *redisChild) serve(client *admitted) {
	c.clients.Go(func() {
		defer client.Close()
		server, err := net.Dial("unix", c.socket)
		if err != nil {
			return // the server has ended; the client connects again
		}
		defer server.Close()
		c.clients.Go(func() {
			_, _ = io.Copy(server, client)
			_ = server.(*net.UnixConn).CloseWrite() // the server sends its last answers and closes
		})
		_, _ = io.Copy(client.Conn, server)
	})
}

func (c *redisChild) close() {
	c.stop()
	c.running.Wait()
	c.clients.Wait()
}
