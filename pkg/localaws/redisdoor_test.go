package localaws

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/scriptfleet/scriptfleet/pkg/panics"
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

// onBoth runs a test on a Redis of each kind.
func onBoth(t *testing.T, test func(*testing.T, *redis)) {
	for _, program := range []string{redisProgram, "/no/such/program"} {
		t.Run(program, func(t *testing.T) {
			r, err := startRedis("127.0.0.1:0", testPassword, program, t.TempDir(), panics.Guard{Log: zap.NewNop()})
			if err != nil {
				t.Fatal(err)
			}
			defer r.close()
			if real := strings.HasPrefix(r.server.name(), redisProgram); real != (program == redisProgram) {
				t.Fatalf("behind the door is %s", r.server.name())
			}
			test(t, r)
		})
	}
}

func TestRedisSurvivesWhatAScriptSendsToItsPort(t *testing.T) {
	onBoth(t, func(t *testing.T, r *redis) {
		for _, text := range []string{
			"*0\r\n", "*-1\r\n", "*\r\n", "\r\n", "*1\r\n$9223372036854775807\r\n", "*1\r\n$-9\r\n", "*1\r\n$60000000000\r\n",
			"*1000000000\r\n", "*1\r\n*1\r\n", "PING\r\n", "GET / HTTP/1.1\r\n\r\n", strings.Repeat("x", 1<<20), "*1\r\n$3\r\nab",
			"*2\r\n$4\r\nAUTH\r\n$-1\r\n", command("AUTH"), command(""), "\x00\xff\n\n\n\n",
		} {
			if answer := talk(t, r, text); strings.Contains(answer, "+OK") || strings.Contains(answer, "PONG") {
				t.Errorf("%.40q is answered %q", text, answer)
			}
		}
		if answer := talk(t, r, command("PING")); answer != answerNoAuth {
			t.Errorf("without a password: %q", answer)
		}
		if answer := talk(t, r, command("AUTH", "default", "wrong")+command("PING")); answer != answerWrongPass+answerNoAuth {
			t.Errorf("with a wrong password: %q", answer)
		}
		if answer := talk(t, r, command("GET", testPassword)); !strings.HasPrefix(answer, "-NOAUTH") {
			t.Errorf("with the password as a key: %q", answer)
		}
		big := strings.Repeat("v", 1<<20)
		if answer := talk(t, r, command("PING")+command("AUTH", testPassword)+command("SET", "k", big)+command("STRLEN", "k")); answer != answerNoAuth+"+OK\r\n+OK\r\n:1048576\r\n" {
			t.Errorf("with the password: %.80q", answer)
		}
	})
}

func TestRedisClosesWithClientsInEveryState(t *testing.T) {
	onBoth(t, func(t *testing.T, r *redis) {
		for _, text := range []string{"", "*1\r\n", command("AUTH", testPassword), command("AUTH", testPassword) + command("SUBSCRIBE", "c")} {
			c, err := net.Dial("tcp", r.addr())
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			if _, err := io.WriteString(c, text); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// FuzzRedisDoor checks that whatever passes begins with a command that contains
// the password, and is the rest of what the client sent.
func FuzzRedisDoor(f *testing.F) {
	for _, text := range []string{command("PING"), command("HELLO", "3"), "*0\r\n", "*1\r\n$99999999\r\n", command("AUTH", testPassword) + "*-1\r\n"} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		near, far := net.Pipe()
		defer near.Close()
		go func() { _, _ = io.Copy(io.Discard, far) }()
		go func() { _, _ = far.Write(text); far.Close() }()
		client, err := openDoor(near, testPassword)
		if err != nil {
			return
		}
		through, _ := io.ReadAll(client)
		d := &redisDoor{password: testPassword, r: bufio.NewReader(bytes.NewReader(through))}
		if refusal, err := d.check(); refusal != "" || err != nil || !bytes.HasSuffix(text, through) {
			t.Fatalf("%q of %q went through: %s %v", through, text, refusal, err)
		}
	})
}
