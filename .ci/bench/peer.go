package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
)

// peerLoad is the load that .ci/peers gives to every queue.
type peerLoad struct{ workers, runs, steadyRuns, rate int }

// print makes the load on a fleet with its embedded stack, and prints what
// .ci/peers reads. CPU is that of all processes but the sender.
func (l peerLoad) print(ctx context.Context, out io.Writer) error {
	b, err := open(ctx)
	if err != nil {
		return err
	}
	defer os.RemoveAll(b.dir)
	f, err := b.start(ctx, l.workers)
	if err != nil {
		return err
	}
	defer f.close()
	if _, err := f.burst(ctx, 1000); err != nil { // starts the environments
		return err
	}
	_, before := f.cpu()
	took, err := f.burst(ctx, l.runs)
	if err != nil {
		return err
	}
	_, after := f.cpu()
	delays, _, err := f.steady(ctx, l.steadyRuns, l.rate)
	if err != nil {
		return err
	}
	return json.NewEncoder(out).Encode(map[string]float64{
		"runs_per_second": float64(l.runs) / took.Seconds(),
		"cpu_ms":          milliseconds(after-before) / float64(l.runs),
		"p50_ms":          milliseconds(percentile(delays, 0.5)),
		"p99_ms":          milliseconds(percentile(delays, 0.99)),
	})
}

// delays are what .ci/peers measures, in milliseconds.
type delays struct {
	P50 float64 `json:"p50_ms"`
	P99 float64 `json:"p99_ms"`
}

// delayOf measures another queue once.
func (b *bench) delayOf(ctx context.Context, name string) (delays, error) {
	cmd := exec.CommandContext(ctx, "go", "run", ".", "-only", name, "-rounds", "1", "-delay", "-json")
	cmd.Dir, cmd.Stderr = ".ci/peers", os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return delays{}, fmt.Errorf("measure %s: %w", name, err)
	}
	got := map[string]delays{}
	err = json.Unmarshal(out, &got)
	return got[name], err
}
