package localaws

import (
	"bufio"
	"bytes"
	"crypto/subtle"
	"errors"
	"io"
	"net"
	"slices"
	"strconv"
	"time"
)

// redisDoor is a connection to Redis. Scripts can reach every loopback port,
// and miniredis trusts its input: an empty command panics, and it allocates any
// announced length. So until a client has sent the password, redisDoor parses
// each of its commands, within the limits that Redis itself has for
// unauthenticated clients. After that it checks nothing.
type redisDoor struct {
	net.Conn
	password string
	guests   *strangers

	r       *bufio.Reader
	open    bool   // the client has sent the password
	checked []byte // the rest of a command that was checked
}

const (
	doorArgs     = 10
	doorArgBytes = 16 << 10
	doorPatience = 10 * time.Second // time to send the password
)

func newRedisDoor(c net.Conn, password string, guests *strangers) *redisDoor {
	_ = c.SetReadDeadline(time.Now().Add(doorPatience))
	return &redisDoor{Conn: c, password: password, guests: guests, r: bufio.NewReaderSize(c, 4<<10)}
}

// Close may be called again.
func (d *redisDoor) Close() error {
	d.guests.left(d.Conn)
	return d.Conn.Close()
}

// Read must not be called concurrently.
func (d *redisDoor) Read(p []byte) (int, error) {
	if len(d.checked) == 0 && !d.open {
		if err := d.check(); err != nil {
			d.checked = nil // an incomplete command
			return 0, err
		}
	}
	if len(d.checked) > 0 {
		n := copy(p, d.checked)
		d.checked = d.checked[n:]
		return n, nil
	}
	return d.r.Read(p)
}

// check reads and checks the next command.
func (d *redisDoor) check() error {
	args, err := d.length('*', doorArgs)
	if err != nil {
		return err
	}
	if args == 0 {
		return errNotRedis
	}
	for range args {
		size, err := d.length('$', doorArgBytes)
		if err != nil {
			return err
		}
		at := len(d.checked)
		d.checked = slices.Grow(d.checked, size+2)[:at+size+2]
		if _, err := io.ReadFull(d.r, d.checked[at:]); err != nil {
			return err
		}
		if subtle.ConstantTimeCompare(d.checked[at:at+size], []byte(d.password)) == 1 {
			d.open = true
			d.guests.left(d.Conn)
		}
	}
	if d.open {
		return d.SetReadDeadline(time.Time{})
	}
	return nil
}

// length parses a line with a number, such as *2 or $4.
func (d *redisDoor) length(kind byte, most int) (int, error) {
	line, err := d.r.ReadSlice('\n')
	if err != nil {
		return 0, err
	}
	d.checked = append(d.checked, line...)
	digits, ended := bytes.CutSuffix(line, []byte("\r\n"))
	if !ended || len(digits) == 0 || digits[0] != kind {
		return 0, errNotRedis
	}
	n, err := strconv.Atoi(string(digits[1:]))
	if err != nil || n < 0 || n > most {
		return 0, errNotRedis
	}
	return n, nil
}

var errNotRedis = errors.New("no command of Redis that a client may send before AUTH")
