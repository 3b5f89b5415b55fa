package lambda

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"

	"github.com/scriptfleet/scriptfleet/pkg/fleettest/figures"
	"github.com/scriptfleet/scriptfleet/pkg/fleettest/process"
	"github.com/scriptfleet/scriptfleet/pkg/fleettest/wait"
)

func TestManyInvokesOfANewFunctionShareEnvironments(t *testing.T) {
	b := newBench(t)
	b.create("burst", "import os\ndef main(e, c):\n    return e\n")
	var wg sync.WaitGroup
	for n := range 50 {
		wg.Go(func() {
			if out, err := b.invoke("burst", fmt.Sprint(n)); err != nil || string(out.Payload) != fmt.Sprint(n) {
				t.Error(out, err)
			}
		})
	}
	wg.Wait()
	b.server.mu.Lock()
	warm := b.server.warm
	b.server.mu.Unlock()
	t.Logf("%d environments", warm)
	if warm > 25 {
		t.Errorf("50 short invocations started %d environments", warm)
	}
}

func TestSlowInvokesRunAtTheSameTime(t *testing.T) {
	b := newBench(t)
	b.create("slow", "import time\ndef main(e, c):\n    time.sleep(1.5)\n", func(in *lambda.CreateFunctionInput) { in.Timeout = aws.Int32(20) })
	var wg sync.WaitGroup
	began := time.Now()
	for range 4 {
		wg.Go(func() {
			if _, err := b.invoke("slow", "{}"); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("four invocations of 1.5 s took %v: they ran one after the other", took)
	}
}

func TestConcurrencyIsBounded(t *testing.T) {
	b := newBench(t, func(c *Config, _ *Deps) { c.MaxConcurrency = 2 })
	b.create("waits", "import time\ndef main(e, c):\n    time.sleep(e)\n", func(in *lambda.CreateFunctionInput) { in.Timeout = aws.Int32(30) })
	b.create("reserved", echo)
	if _, err := b.client.PutFunctionConcurrency(t.Context(), &lambda.PutFunctionConcurrencyInput{FunctionName: aws.String("reserved"), ReservedConcurrentExecutions: aws.Int32(0)}); err != nil {
		t.Fatal(err)
	}
	var throttled *types.TooManyRequestsException
	if _, err := b.invoke("reserved", "{}"); !errors.As(err, &throttled) || throttled.Reason != types.ThrottleReasonReservedFunctionConcurrentInvocationLimitExceeded {
		t.Error(err)
	}
	for range 2 {
		out, err := b.client.Invoke(t.Context(), &lambda.InvokeInput{FunctionName: aws.String("waits"), InvocationType: types.InvocationTypeEvent, Payload: []byte("20")})
		if err != nil || out.StatusCode != 202 {
			t.Fatal(out, err)
		}
	}
	if _, err := b.invoke("waits", "0"); !errors.As(err, &throttled) || throttled.Reason != types.ThrottleReasonConcurrentInvocationLimitExceeded {
		t.Error(err)
	}
	if _, err := b.client.DeleteFunctionConcurrency(t.Context(), &lambda.DeleteFunctionConcurrencyInput{FunctionName: aws.String("reserved")}); err != nil {
		t.Error(err)
	}
}

func TestPayloadsAreBoundedAndJSON(t *testing.T) {
	b := newBench(t)
	b.create("sized", "def main(e, c):\n    return len(e)\n")
	_, err := b.invoke("sized", `"`+strings.Repeat("x", maxPayload)+`"`)
	wantCode(t, err, "RequestTooLargeException", "6291456")
	if out, err := b.invoke("sized", `"`+strings.Repeat("x", maxPayload-2)+`"`); err != nil || string(out.Payload) != fmt.Sprint(maxPayload-2) {
		t.Error(out, err)
	}
	_, err = b.invoke("sized", `{"a"`)
	wantCode(t, err, "InvalidRequestContentException")
	dry, err := b.client.Invoke(t.Context(), &lambda.InvokeInput{FunctionName: aws.String("sized"), InvocationType: types.InvocationTypeDryRun})
	if err != nil || dry.StatusCode != 204 {
		t.Error(dry, err)
	}
	_, err = b.client.Invoke(t.Context(), &lambda.InvokeInput{FunctionName: aws.String("sized"), Qualifier: aws.String("7")})
	wantCode(t, err, "ResourceNotFoundException")
}

func TestEveryInstalledRuntimeRuns(t *testing.T) {
	b := newBench(t)
	for _, minor := range b.server.deps.Interpreters.Minors() {
		name := "python3_" + strings.TrimPrefix(minor, "3.")
		b.create(name, "import sys, ssl, ctypes, sqlite3, multiprocessing\ndef main(e, c):\n    return '%d.%d' % sys.version_info[:2]\n", func(in *lambda.CreateFunctionInput) { in.Runtime = types.Runtime("python" + minor) })
		if out, err := b.invoke(name, "{}"); err != nil || string(out.Payload) != fmt.Sprintf("%q", minor) {
			t.Errorf("%s: %s %v", minor, out.Payload, err)
		}
	}
}

func TestIdleEnvironmentsEnd(t *testing.T) {
	b := newBench(t, func(c *Config, _ *Deps) { c.IdleTimeout = 50 * time.Millisecond })
	b.create("idle", echo)
	if _, err := b.invoke("idle", "{}"); err != nil {
		t.Fatal(err)
	}
	wait.Until(t, 10*time.Second, "processes stay warm", func() bool { return b.warm() == 0 })
}

func (b *bench) warm() int {
	b.server.mu.Lock()
	defer b.server.mu.Unlock()
	return b.server.warm
}

func TestTheLeastRecentlyUsedEnvironmentEndsFirst(t *testing.T) {
	b := newBench(t, func(c *Config, _ *Deps) { c.MaxWarm = 2 })
	code := "n = 0\ndef main(e, c):\n    global n\n    n += 1\n    return n\n"
	for _, name := range []string{"a", "b", "c"} {
		b.create(name, code)
	}
	for _, step := range []struct{ name, want string }{{"a", "1"}, {"b", "1"}, {"a", "2"}, {"c", "1"}, {"a", "3"}, {"b", "1"}} {
		if out, err := b.invoke(step.name, "{}"); err != nil || string(out.Payload) != step.want {
			t.Errorf("%s: want %s, got %s %v", step.name, step.want, out.Payload, err)
		}
	}
	if n := b.warm(); n > 2 {
		t.Errorf("%d environments are warm", n)
	}
}

func TestCloseLeavesNoProcess(t *testing.T) {
	b := newBench(t)
	marker := fmt.Sprintf("close-%d", time.Now().UnixNano())
	b.create("runs", "import subprocess, sys, time\ndef main(e, c):\n    subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(300)', e])\n    time.sleep(300)\n", func(in *lambda.CreateFunctionInput) { in.Timeout = aws.Int32(600) })
	b.create("warm", echo)
	if _, err := b.invoke("warm", "{}"); err != nil {
		t.Fatal(err)
	}
	if _, err := b.client.Invoke(t.Context(), &lambda.InvokeInput{FunctionName: aws.String("runs"), InvocationType: types.InvocationTypeEvent, Payload: fmt.Appendf(nil, "%q", marker)}); err != nil {
		t.Fatal(err)
	}
	wait.Until(t, 10*time.Second, "the script starts no process", func() bool { return len(process.Marked("cmdline", marker)) > 0 })
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if err := b.server.Close(ctx); err != nil {
		t.Error(err)
	}
	if left := process.Marked("cmdline", marker); len(left) > 0 {
		t.Errorf("alive: %v", left)
	}
	_, err := b.invoke("warm", "{}")
	wantCode(t, err, "ServiceException")
}

func TestDeletingAFunctionEndsItsEnvironments(t *testing.T) {
	b := newBench(t)
	b.create("gone", echo)
	if _, err := b.invoke("gone", "{}"); err != nil {
		t.Fatal(err)
	}
	if _, err := b.client.DeleteFunction(t.Context(), &lambda.DeleteFunctionInput{FunctionName: aws.String("gone")}); err != nil {
		t.Fatal(err)
	}
	if n := b.warm(); n != 0 {
		t.Errorf("%d environments are warm", n)
	}
}

func BenchmarkWarmInvoke(b *testing.B) {
	x := newBench(b)
	x.create("warm", echo)
	for b.Loop() {
		if _, err := x.invoke("warm", "{}"); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkColdInvoke compares a cold start with a bare Python, in turn. The goal
// is 15 ms over it. Where the starts come apart, an interpreter waits for each,
// and none is being started meanwhile.
func BenchmarkColdInvoke(b *testing.B) {
	b.Run("apart", func(b *testing.B) { benchColdInvoke(b, func() { <-time.After(700 * time.Millisecond) }) })
	b.Run("in-a-row", func(b *testing.B) { benchColdInvoke(b, func() {}) })
}

func benchColdInvoke(b *testing.B, before func()) {
	x := newBench(b)
	x.create("cold", "import os\ndef main(e, c):\n    os._exit(0)\n")
	newest, _ := x.server.deps.Interpreters.Newest()
	var bare, cold time.Duration
	for b.Loop() {
		b.StopTimer()
		before()
		b.StartTimer()
		began := time.Now()
		if err := exec.Command(newest.Path, "-c", "pass").Run(); err != nil {
			b.Fatal(err)
		}
		between := time.Now()
		if _, err := x.invoke("cold", "{}"); err != nil {
			b.Fatal(err)
		}
		bare, cold = bare+between.Sub(began), cold+time.Since(between)
	}
	b.ReportMetric(milliseconds(cold-bare)/float64(b.N), "ms-over-python")
	figures.Record(b, "cold."+strings.TrimPrefix(b.Name(), "BenchmarkColdInvoke/"), milliseconds(cold-bare)/float64(b.N))
	b.ReportMetric(milliseconds(cold)/float64(b.N), "ms-cold")
}

func TestEnvironmentsAreCountedRightWhateverEndsThem(t *testing.T) {
	b := newBench(t, func(c *Config, _ *Deps) { c.MaxWarm = 3 })
	code := "import os\ndef main(e, c):\n    if e % 7 == 3: os._exit(1)\n    if e % 7 == 5: raise ValueError(e)\n    return e\n"
	const functions, invokes = 4, 14
	for f := range functions {
		b.create(fmt.Sprintf("f%d", f), code, alone)
	}
	b.create("broken", "1 / 0", alone)
	var wg sync.WaitGroup
	for f := range functions {
		for n := range invokes {
			wg.Go(func() {
				out, err := b.invoke(fmt.Sprintf("f%d", f), fmt.Sprint(n))
				failed := n%7 == 3 || n%7 == 5
				if err != nil || (out.FunctionError != nil) != failed || (!failed && string(out.Payload) != fmt.Sprint(n)) {
					t.Error(n, out, err)
				}
			})
		}
	}
	for range 5 {
		wg.Go(func() { b.failed("broken", "{}", "ZeroDivisionError", "") })
	}
	wg.Wait()
	wait.Until(t, 10*time.Second, "the books of the pools do not agree", func() bool {
		s := b.server
		s.mu.Lock()
		defer s.mu.Unlock()
		idle, rest := 0, s.inFlight
		for _, f := range s.functions {
			idle += len(f.pool.idle)
			rest += f.pool.busy + f.pool.starting + len(f.pool.waiting) + f.pool.inFlight
		}
		return idle == s.warm && s.warm <= 3 && rest == 0
	})
	wait.Until(t, 10*time.Second, "more than three processes stay", func() bool { return len(runtimeStates()) <= 3 })
}
