//go:build linux

package inside

import (
	"os"
	"strconv"
	"sync"

	"golang.org/x/sys/unix"
)

// KernelFile is an open file of the kernel that is read again and again. Its
// methods may be called concurrently.
type KernelFile struct {
	mu  sync.Mutex
	fd  int // -1: closed
	buf []byte
}

// OpenKernel opens a file of the kernel.
func OpenKernel(path string) (*KernelFile, error) {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	return &KernelFile{fd: fd, buf: make([]byte, 4096)}, nil
}

// Read calls use with the contents, which are valid during the call.
func (f *KernelFile) Read(use func([]byte)) error {
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

// Close may be called more than once.
func (f *KernelFile) Close() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.fd >= 0 {
		_ = unix.Close(f.fd)
		f.fd = -1
	}
}

// ReadKernel reads a file of the kernel by three system calls; os.ReadFile makes
// eight, and both Freeze and the warden read often.
func ReadKernel(path string) (data []byte, err error) {
	f, err := OpenKernel(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	err = f.Read(func(b []byte) { data = b })
	return data, err
}

// StatusPath is the path of a process's figures.
func StatusPath(pid int) string { return "/proc/" + strconv.Itoa(pid) + "/status" }
