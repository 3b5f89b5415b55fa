package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
)

// postgres starts a PostgreSQL on loopback. It refuses root, so as root it runs
// as the user nobody.
func postgres(ctx context.Context, h *harness) (p *process, url string, err error) {
	dir, err := os.MkdirTemp(h.dir, "postgres-")
	if err != nil {
		return nil, "", err
	}
	as, err := ordinary(dir)
	if err != nil {
		return nil, "", err
	}
	data := filepath.Join(dir, "data")
	init := exec.CommandContext(ctx, "initdb", "--auth=trust", "--username=peers", "--no-sync", "-D", data)
	init.Dir, init.SysProcAttr = dir, &syscall.SysProcAttr{Credential: as}
	if out, err := init.CombinedOutput(); err != nil {
		return nil, "", fmt.Errorf("initdb: %w\n%s", err, out)
	}
	port, err := freePort()
	if err != nil {
		return nil, "", err
	}
	p, err = launch(as, "postgres", "-D", data, "-p", strconv.Itoa(port), "-c", "listen_addresses=127.0.0.1",
		"-c", "unix_socket_directories="+dir, "-c", "shared_buffers=256MB")
	if err != nil {
		return nil, "", err
	}
	err = until(ctx, "postgres does not come up", func() bool {
		return exec.CommandContext(ctx, "pg_isready", "-q", "-h", "127.0.0.1", "-p", strconv.Itoa(port)).Run() == nil
	})
	return p, fmt.Sprintf("postgres://peers@127.0.0.1:%d/postgres?sslmode=disable", port), err
}

// ordinary is nil unless this process is root's; the folder then becomes the
// other user's.
func ordinary(dir string) (*syscall.Credential, error) {
	if os.Getuid() != 0 {
		return nil, nil
	}
	nobody, err := user.Lookup("nobody")
	if err != nil {
		return nil, err
	}
	uid, _ := strconv.ParseUint(nobody.Uid, 10, 32)
	gid, _ := strconv.ParseUint(nobody.Gid, 10, 32)
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, os.Chown(dir, int(uid), int(gid))
}
