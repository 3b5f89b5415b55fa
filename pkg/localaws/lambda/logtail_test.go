package lambda

import (
	"errors"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/scriptfleet/scriptfleet/pkg/panics"
)

// TestDrainEndsWhileAScriptPrintsOn reads from a pipe that never becomes empty,
// as if several threads print to it.
func TestDrainEndsWhileAScriptPrintsOn(t *testing.T) {
	zeros, err := os.Open("/dev/zero")
	if err != nil {
		t.Fatal(err)
	}
	defer zeros.Close()
	raw, err := zeros.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	l := &logTail{pipe: zeros, raw: raw}
	drained := make(chan struct{})
	go func() { l.drain(); close(drained) }()
	select {
	case <-drained:
	case <-time.After(10 * time.Second):
		t.Fatal("draining does not end")
	}
	if n := len(l.tail()); n != tailBytes {
		t.Errorf("%d bytes are kept", n)
	}
}

func TestDrainKeepsAllThatAPipeCanHold(t *testing.T) {
	l, out, err := newLogTail(panics.Guard{})
	if err != nil {
		t.Fatal(err)
	}
	text := append(make([]byte, 60<<10), "the end"...)
	if _, err := out.Write(text); err != nil {
		t.Fatal(err)
	}
	l.drain()
	if tail := string(l.tail()); tail[len(tail)-7:] != "the end" {
		t.Errorf("%q", tail[len(tail)-7:])
	}
	out.Close()
}

// A script must not wait for ever to print, nor fill memory.
func TestPanicOfTheReaderClosesItsPipe(t *testing.T) {
	in, out, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	l := &logTail{pipe: in} // without what it reads by
	if p := (panics.Guard{}).Catch(l.run, nil); p == nil {
		t.Fatal("it does not panic")
	}
	if _, err := out.Write([]byte("x")); !errors.Is(err, unix.EPIPE) {
		t.Errorf("printing ends with %v", err)
	}
}
