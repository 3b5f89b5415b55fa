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

// redisDoor is a connection to Redis before its client has sent the password.
// Scripts can reach every loopback port, and the servers trust such clients too
// much: miniredis panics at an empty command and allocates any announced length;
// Redis 7.0 buffers answers without bound if the client does not read them, and
// counts idle connections. So redisDoor itself parses and refuses commands until
// one contains the password, within the limits that Redis has for unauthenticated
// clients. The server receives that command and all later bytes, unchecked.
type redisDoor struct {
	password string
	r        *bufio.Reader
	command  []byte // the last one that was read
}

const (
	doorArgs     = 10
	doorArgBytes = 16 << 10
	doorPatience = 10 * time.Second // time to send the password
)

// The words of Redis.
const (
	answerNoAuth    = "-NOAUTH Authentication required.\r\n"
	answerWrongPass = "-WRONGPASS invalid username-password pair or user is disabled.\r\n"
)

// admitted is a client that has sent the password.
type admitted struct {
	net.Conn
	ahead []byte // already read from Conn: the command with the password, and what followed it
}

// openDoor returns after the client has sent the password. It fails if that takes
// too long, or if the client does not speak Redis' protocol.
func openDoor(conn net.Conn, password string) (*admitted, error) {
	if err := conn.SetDeadline(time.Now().Add(doorPatience)); err != nil {
		return nil, err
	}
	d := &redisDoor{password: password, r: bufio.NewReaderSize(conn, 4<<10)}
	for {
		refusal, err := d.check()
		if err != nil {
			return nil, err
		}
		if refusal == "" {
			break
		}
		if _, err := io.WriteString(conn, refusal); err != nil {
			return nil, err
		}
	}
	rest, _ := d.r.Peek(d.r.Buffered())
	return &admitted{conn, append(d.command, rest...)}, conn.SetDeadline(time.Time{})
}

// Read must not be called concurrently.
func (a *admitted) Read(p []byte) (int, error) {
	if len(a.ahead) > 0 {
		n := copy(p, a.ahead)
		a.ahead = a.ahead[n:]
		return n, nil
	}
	return a.Conn.Read(p)
}

// WriteTo lets io.Copy splice two sockets.
func (a *admitted) WriteTo(w io.Writer) (int64, error) {
	n, err := w.Write(a.ahead)
	if a.ahead = nil; err != nil {
		return int64(n), err
	}
	more, err := io.Copy(w, a.Conn)
	return int64(n) + more, err
}

// check parses the next command. The refusal is the answer to it; it is empty if
// the command contains the password.
func (d *redisDoor) check() (refusal string, err error) {
	d.command = d.command[:0]
	args, err := d.length('*', doorArgs)
	if err != nil {
		return "", err
	}
	if args == 0 {
		return "", errNotRedis
	}
	refusal = answerNoAuth
	for range args {
		size, err := d.length('$', doorArgBytes)
		if err != nil {
			return "", err
		}
		at := len(d.command)
		d.command = slices.Grow(d.command, size+2)[:at+size+2]
		if _, err := io.ReadFull(d.r, d.command[at:]); err != nil {
			return "", err
		}
		arg := d.command[at : at+size]
		switch {
		case subtle.ConstantTimeCompare(arg, []byte(d.password)) == 1:
			refusal = ""
		case refusal != "" && bytes.EqualFold(arg, []byte("AUTH")):
			refusal = answerWrongPass
		}
	}
	return refusal, nil
}

// length parses a line with a number, such as *2 or $4.
func (d *redisDoor) length(kind byte, most int) (int, error) {
	line, err := d.r.ReadSlice('\n')
	if err != nil {
		return 0, err
	}
	d.command = append(d.command, line...)
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
