// Peers measures other queues beside this fleet: the same Python script that
// does nothing, in warm processes, in turn on the same machine.
//
//	go run . -rounds 3            all of them
//	go run . -only celery,river   some
//	go run . -json                the medians as JSON
//
// It is a module of its own, so that the fleet does not depend on what it is
// compared with. Versions are pinned in go.mod and requirements.txt. Every peer
// is set as its documentation says for short work: see the settings in its file.
// What is measured is
//
//	burst   runs a second from the first enqueue to the last result of 3,000
//	CPU     of all processes for each of these runs: queue, workers, Python, and
//	        the sender where it is in the same process (river, asynq, naive)
//	delay   from enqueue to result at 20 runs a second
//
// A result is where the peer has it: at the sender (celery, naive, scriptfleet),
// or at the end of the handler (river, asynq), which have no results.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

const (
	burstRuns  = 3000
	steadyRuns = 200
	steadyRate = 20
	oneRound   = 3 * time.Minute // limit for one peer
)

// peer is a queue with its workers.
type peer interface {
	// start brings everything up and warms it.
	start(ctx context.Context, h *harness) error
	// burst returns the time from the first enqueue to the last result.
	burst(ctx context.Context, runs int) (time.Duration, error)
	// steady returns each run's time from enqueue to result.
	steady(ctx context.Context, runs, rate int) ([]time.Duration, error)
	// pids are the processes whose CPU counts, with all their descendants.
	pids() []int
	close()
}

// measured are a peer's figures.
type measured struct {
	RunsPerSecond float64 `json:"runs_per_second"`
	CPUms         float64 `json:"cpu_ms"`
	P50ms         float64 `json:"p50_ms"`
	P99ms         float64 `json:"p99_ms"`
}

// measure makes one round of a peer.
type measure func(ctx context.Context, h *harness) (measured, error)

type named struct {
	name    string
	measure measure
}

var all = []named{
	{"river", of(burstRuns, func() peer { return &riverPeer{} })},
	{"asynq", of(burstRuns, func() peer { return &asynqPeer{} })},
	{"celery", of(burstRuns, func() peer { return &celeryPeer{} })},
	{"naive", of(burstRuns/10, func() peer { return &naivePeer{} })}, // its rate is the same all the time
	{"scriptfleet-1", scriptfleet(1)},
	{"scriptfleet-2", scriptfleet(2)},
}

// harness is what all peers use.
type harness struct {
	root   string // of the repository
	dir    string // for temporary files
	python string // an interpreter, not a version manager's shim

	delayOnly bool
}

func main() {
	only := flag.String("only", "", "measure only these `peers`, separated by commas: "+names())
	rounds := flag.Int("rounds", 3, "how often each is measured, in turn; the medians are printed")
	delayOnly := flag.Bool("delay", false, "measure the delay alone")
	asJSON := flag.Bool("json", false, "print the medians as JSON")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *only, *rounds, *delayOnly, *asJSON); err != nil {
		fmt.Fprintln(os.Stderr, "peers:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, only string, rounds int, delayOnly, asJSON bool) error {
	chosen, err := choose(only)
	if err != nil {
		return err
	}
	h, err := open()
	if err != nil {
		return err
	}
	defer os.RemoveAll(h.dir)
	h.delayOnly = delayOnly
	got := map[string][]measured{}
	var failed error
	for round := range rounds {
		for _, p := range chosen {
			fmt.Fprintf(os.Stderr, "round %d of %d: %s …", round+1, rounds, p.name)
			limited, cancel := context.WithTimeout(ctx, oneRound)
			m, err := p.measure(limited, h)
			cancel()
			if err != nil {
				fmt.Fprintf(os.Stderr, " failed: %v\n", err)
				failed = errors.Join(failed, fmt.Errorf("%s: %w", p.name, err))
				continue
			}
			fmt.Fprintf(os.Stderr, " %.0f runs/s, %.2f ms of CPU, %.1f / %.1f ms\n", m.RunsPerSecond, m.CPUms, m.P50ms, m.P99ms)
			got[p.name] = append(got[p.name], m)
		}
	}
	if asJSON {
		medians := map[string]measured{}
		for name, ms := range got {
			medians[name] = medianOf(ms)
		}
		return errors.Join(failed, json.NewEncoder(os.Stdout).Encode(medians))
	}
	fmt.Printf("| | burst of %d: runs/s | CPU a run | added delay at %d/s, p50 / p99 |\n|---|---|---|---|\n", burstRuns, steadyRate)
	for _, p := range chosen {
		if ms := got[p.name]; len(ms) > 0 {
			m := medianOf(ms)
			fmt.Printf("| %s | %.0f | %.2f ms | %.1f / %.1f ms |\n", p.name, m.RunsPerSecond, m.CPUms, m.P50ms, m.P99ms)
		}
	}
	return failed
}

func choose(only string) ([]named, error) {
	if only == "" {
		return all, nil
	}
	var chosen []named
	for name := range strings.SplitSeq(only, ",") {
		i := slices.IndexFunc(all, func(p named) bool { return p.name == name })
		if i < 0 {
			return nil, fmt.Errorf("there is no peer %q: use %s", name, names())
		}
		chosen = append(chosen, all[i])
	}
	return chosen, nil
}

func names() string {
	var list []string
	for _, p := range all {
		list = append(list, p.name)
	}
	return strings.Join(list, ", ")
}

func open() (h *harness, err error) {
	h = &harness{}
	if h.root, err = filepath.Abs("../.."); err != nil {
		return nil, err
	}
	if _, err := os.Stat(filepath.Join(h.root, ".ci", "peers", "go.mod")); err != nil {
		return nil, fmt.Errorf("run it in .ci/peers, or use make bench-peers: %w", err)
	}
	if h.python, err = interpreter(); err != nil {
		return nil, err
	}
	h.dir, err = os.MkdirTemp("", "peers-")
	if err != nil {
		return nil, err
	}
	return h, os.Chmod(h.dir, 0o755) // PostgreSQL runs as another user
}

// of measures a peer: started, warmed, burst, steady, ended.
func of(runs int, create func() peer) measure {
	return func(ctx context.Context, h *harness) (m measured, err error) {
		p := create()
		defer p.close()
		if err := p.start(ctx, h); err != nil {
			return m, fmt.Errorf("start: %w", err)
		}
		if _, err := p.burst(ctx, runs/10); err != nil {
			return m, fmt.Errorf("warm up: %w", err)
		}
		if !h.delayOnly {
			if err := m.crowd(ctx, p, runs); err != nil {
				return m, fmt.Errorf("burst: %w", err)
			}
		}
		delays, err := p.steady(ctx, steadyRuns, steadyRate)
		if err != nil {
			return m, fmt.Errorf("steady: %w", err)
		}
		slices.Sort(delays)
		m.P50ms, m.P99ms = at(delays, 0.5), at(delays, 0.99)
		return m, nil
	}
}

func (m *measured) crowd(ctx context.Context, p peer, runs int) error {
	before := cpu(p.pids()...)
	took, err := p.burst(ctx, runs)
	m.RunsPerSecond = float64(runs) / took.Seconds()
	m.CPUms = (cpu(p.pids()...) - before).Seconds() * 1000 / float64(runs)
	return err
}

func at(sorted []time.Duration, p float64) float64 {
	return sorted[min(int(p*float64(len(sorted))), len(sorted)-1)].Seconds() * 1000
}

func medianOf(ms []measured) measured {
	median := func(of func(measured) float64) float64 {
		var values []float64
		for _, m := range ms {
			values = append(values, of(m))
		}
		slices.Sort(values)
		return values[len(values)/2]
	}
	return measured{
		median(func(m measured) float64 { return m.RunsPerSecond }), median(func(m measured) float64 { return m.CPUms }),
		median(func(m measured) float64 { return m.P50ms }), median(func(m measured) float64 { return m.P99ms }),
	}
}
