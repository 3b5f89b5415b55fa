package fairness

import (
	"bufio"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
)

var serving = flag.String("serve", "", "serve slices for another process of the tests: TENANTS/SCRIPTS")

// served is a fleet in memory in a process of its own, so that its CPU and its
// heap are not those of the fleets that it is compared with.
type served struct {
	t   *testing.T
	cmd *exec.Cmd
	in  io.WriteCloser
	out *bufio.Scanner
}

// serve starts one.
func serve(t *testing.T, of population) *served {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	s := &served{t: t, cmd: exec.Command(self, "-test.run", "^TestServe$", "-test.timeout", "30m", "-serve", fmt.Sprintf("%d/%d", of.tenants, of.scripts))}
	s.cmd.Stderr = os.Stderr
	out, outErr := s.cmd.StdoutPipe()
	in, inErr := s.cmd.StdinPipe()
	if err := s.cmd.Start(); err != nil || outErr != nil || inErr != nil {
		t.Fatal(err, outErr, inErr)
	}
	s.in, s.out = in, bufio.NewScanner(out)
	t.Cleanup(func() {
		_ = in.Close() // which ends it
		_ = s.cmd.Wait()
	})
	return s
}

// slice lets it serve runs, and returns the CPU time of each in microseconds.
func (s *served) slice(runs int) float64 { s.t.Helper(); return s.ask(runs) / 1000 }

// end ends it, and returns the bytes that dispatcher, worker and builder kept.
func (s *served) end() int64 { s.t.Helper(); return int64(s.ask(0)) }

func (s *served) ask(n int) float64 {
	s.t.Helper()
	if _, err := fmt.Fprintln(s.in, n); err != nil {
		s.t.Fatal(err)
	}
	if !s.out.Scan() {
		s.t.Fatal("the process that serves has ended")
	}
	v, err := strconv.ParseFloat(s.out.Text(), 64)
	if err != nil {
		s.t.Fatal(err)
	}
	return v
}

// TestServe is the other process: for each number on stdin it serves so many
// runs and prints a run's CPU time in nanoseconds; for 0, and at the end, it
// prints the bytes.
func TestServe(t *testing.T) {
	if *serving == "" {
		return // nobody has started it as such a process
	}
	var of population
	if _, err := fmt.Sscanf(*serving, "%d/%d", &of.tenants, &of.scripts); err != nil {
		t.Fatal(err)
	}
	f := openInMemory(t, of)
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		runs, err := strconv.Atoi(strings.TrimSpace(lines.Text()))
		if err != nil {
			t.Fatal(err)
		}
		if runs == 0 {
			break
		}
		fmt.Println(f.slice(t, runs).Nanoseconds())
	}
	fmt.Println(f.close())
}
