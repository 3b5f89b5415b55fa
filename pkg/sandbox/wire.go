//go:build linux

package sandbox

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"runtime"

	"golang.org/x/sys/unix"

	"github.com/scriptfleet/scriptfleet/pkg/sandbox/inside"
)

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

func readEvent(f *os.File) (inside.Event, error) {
	buf := make([]byte, 4096)
	n, err := f.Read(buf)
	if err != nil {
		return inside.Event{}, err
	}
	var e inside.Event
	if err := json.Unmarshal(buf[:n], &e); err != nil {
		return inside.Event{}, fmt.Errorf("read event: %w", err)
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
