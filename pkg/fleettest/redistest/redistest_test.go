package redistest

import (
	"net"
	"strings"
	"testing"
	"time"
)

func TestServerAnswersAndForgetsOnFlush(t *testing.T) {
	s := Start(t)
	s.Do("SET", "a", "1")
	s.FlushAll()
	if got := s.Do("EXISTS", "a"); got != ":0" {
		t.Fatalf("after a flush EXISTS answers %s", got)
	}
}

func TestPausedServerAnswersOnlyWhenItIsResumed(t *testing.T) {
	s := Start(t)
	s.Pause()
	if answer, err := ask(s.Addr, "PING", 50*time.Millisecond); err == nil {
		t.Fatalf("a paused server answered %s", answer)
	}
	s.Resume()
	if got := s.Do("PING"); got != "+PONG" {
		t.Fatalf("a resumed server answered %s", got)
	}
}

func TestRestartedServerIsEmptyAtTheSameAddress(t *testing.T) {
	s := Start(t)
	addr := s.Addr
	s.Do("SET", "a", "1")
	s.Stop()
	if c, err := net.Dial("tcp", addr); err == nil {
		c.Close()
		t.Fatal("a stopped server still listens")
	}
	s.Restart()
	if got := s.Do("EXISTS", "a"); s.Addr != addr || got != ":0" {
		t.Fatalf("restarted at %s, was at %s; EXISTS answers %s", s.Addr, addr, got)
	}
}

func TestServerEndsWithItsTest(t *testing.T) {
	var addr string
	t.Run("inner", func(t *testing.T) {
		s := Start(t)
		s.Pause() // a paused server too
		addr = s.Addr
	})
	if c, err := net.Dial("tcp", addr); err == nil {
		c.Close()
		t.Fatal("the server outlived its test")
	}
}

func TestArgumentsReachTheServer(t *testing.T) {
	s := Start(t, "--databases", "2")
	if got := s.Do("SELECT", "2"); !strings.HasPrefix(got, "-ERR") {
		t.Fatalf("of two databases the third answered %s", got)
	}
}
