package localaws

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"
)

const testPassword = "open-sesame"

// talk sends text to a Redis of its own and returns the complete answer.
func talk(t *testing.T, r *redis, text string) string {
	t.Helper()
	c, err := net.Dial("tcp", r.addr())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_, _ = io.WriteString(c, text) // the connection may be closed meanwhile
	_ = c.(*net.TCPConn).CloseWrite()
	_ = c.SetReadDeadline(time.Now().Add(5 * time.Second))
	answer, _ := io.ReadAll(c)
	return string(answer)
}

func command(args ...string) string {
	text := fmt.Sprintf("*%d\r\n", len(args))
	for _, a := range args {
		text += fmt.Sprintf("$%d\r\n%s\r\n", len(a), a)
	}
	return text
}

func TestRedisSurvivesWhatAScriptSendsToItsPort(t *testing.T) {
	r, err := startRedis("127.0.0.1:0", testPassword)
	if err != nil {
		t.Fatal(err)
	}
	defer r.close()
	for _, text := range []string{
		"*0\r\n", "*-1\r\n", "*\r\n", "\r\n", "*1\r\n$9223372036854775807\r\n", "*1\r\n$-9\r\n", "*1\r\n$60000000000\r\n",
		"*1000000000\r\n", "*1\r\n*1\r\n", "PING\r\n", "GET / HTTP/1.1\r\n\r\n", strings.Repeat("x", 1<<20), "*1\r\n$3\r\nab",
		"*2\r\n$4\r\nAUTH\r\n$-1\r\n", command("AUTH"), command(""), "\x00\xff\n\n\n\n",
	} {
		if answer := talk(t, r, text); strings.Contains(answer, "+OK") || strings.Contains(answer, "PONG") {
			t.Errorf("%.40q is answered %q", text, answer)
		}
	}
	if answer := talk(t, r, command("PING")); !strings.HasPrefix(answer, "-NOAUTH") {
		t.Errorf("without a password: %q", answer)
	}
	if answer := talk(t, r, command("AUTH", "default", "wrong")+command("PING")); !strings.HasPrefix(answer, "-WRONGPASS") || !strings.Contains(answer, "-NOAUTH") {
		t.Errorf("with a wrong password: %q", answer)
	}
	big := strings.Repeat("v", 1<<20)
	if answer := talk(t, r, command("AUTH", testPassword)+command("SET", "k", big)+command("STRLEN", "k")); answer != "+OK\r\n+OK\r\n:1048576\r\n" {
		t.Errorf("with the password: %.80q", answer)
	}
}

// FuzzRedisDoor checks that whatever passes before the password is a command
// that miniredis can parse.
func FuzzRedisDoor(f *testing.F) {
	for _, text := range []string{command("PING"), command("HELLO", "3"), "*0\r\n", "*1\r\n$99999999\r\n", command("AUTH", "x") + "*-1\r\n"} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		near, far := net.Pipe()
		go func() { _, _ = far.Write(text); far.Close() }()
		d := newRedisDoor(near, testPassword, newStrangers(1))
		through, _ := io.ReadAll(d)
		near.Close()
		if d.open {
			return
		}
		again := &redisDoor{password: testPassword, r: bufio.NewReader(strings.NewReader(string(through)))}
		for len(through) > 0 {
			if err := again.check(); err != nil {
				t.Fatalf("%q of %q went through: %v", through, text, err)
			}
			through, again.checked = through[len(again.checked):], nil
		}
	})
}
