//go:build linux

package sandbox

import (
	"os"
	"strconv"
	"sync"

	"golang.org/x/sys/unix"
)

// kernelFile is an open file of the kernel that is read again and again. Its
// methods may be called concurrently.
type kernelFile struct {
	mu  sync.Mutex
	fd  int // -1: closed
	buf []byte
}

func openKernel(path string) (*kernelFile, error) {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	return &kernelFile{fd: fd, buf: make([]byte, 4096)}, nil
}

// read calls use with the contents, which are valid during the call.
func (f *kernelFile) read(use func([]byte)) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.fd < 0 {
		return os.ErrClosed
	}
	for have := 0; ; {
		n, err := unix.Pread(f.fd, f.buf[have:], int64(have))
		switch {
		case err == unix.EINTR:
			continue
		case err != nil:
			return err
		}
		have += n
		if n == 0 || have < len(f.buf)/2 { // what is so much shorter was not cut
			use(f.buf[:have])
			return nil
		}
		if have == len(f.buf) {
			f.buf = append(f.buf, make([]byte, len(f.buf))...)
		}
	}
}

func (f *kernelFile) close() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.fd >= 0 {
		_ = unix.Close(f.fd)
		f.fd = -1
	}
}

// readKernel reads a file of the kernel by three system calls; os.ReadFile makes
// eight, and both Freeze and the warden read often.
func readKernel(path string) (data []byte, err error) {
	f, err := openKernel(path)
	if err != nil {
		return nil, err
	}
	defer f.close()
	err = f.read(func(b []byte) { data = b })
	return data, err
}

func statusPath(pid int) string { return "/proc/" + strconv.Itoa(pid) + "/status" }
