// Bench measures what the fleet costs and how fast it is, one measurement after
// the other, and prints each figure beside its goal.
//
//	go run ./.ci/bench                 all measurements
//	go run ./.ci/bench -only burst     one of them, or several: burst,delay
//	go run ./.ci/bench -update         also writes BENCHMARKS.md and README.md
//	go run ./.ci/bench -json           prints the figures as JSON
//	go run ./.ci/bench -against DIR    CPU time and allocations of a run, beside those of the binaries in DIR
//
// Counts are exact, and come from tests in virtual time where there are such.
// Times depend on the machine and on its other load, which is written down with
// each figure. A figure that misses its goal is no failure of the program; a
// measurement that cannot be made is.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/scriptfleet/scriptfleet/dashboards/prices"
	"github.com/scriptfleet/scriptfleet/pkg/fleettest/program"
)

// measurement makes some of the figures.
type measurement struct {
	name  string
	about string
	most  time.Duration // after which it is given up; of all of them, 15 minutes
	run   func(context.Context, *bench) error
	real  bool // it starts the binaries
}

var measurements = []measurement{
	{"costs", "requests, round trips and commands a run", 2 * time.Minute, costs, false},
	{"quiet", "a quiet tenant beside floods, and a hundred new scripts a second, in virtual time", 75 * time.Second, quiet, false},
	{"burst", "runs a second and CPU a run of a burst, real processes", 90 * time.Second, burst, true},
	{"delay", "added delay at 20 runs a second, in turn with Celery, real processes", 2 * time.Minute, delay, true},
	{"parked", "memory of a worker with 1,000 parked runs, real processes", 45 * time.Second, parked, true},
	{"cold", "cold starts of the embedded stack, and the forks of an env runner", 30 * time.Second, cold, false},
	{"tenants", "CPU a run of 10 and of 100,000 tenants", 75 * time.Second, tenants, false},
	{"trace", "builds of an eight-hour trace, in virtual time", 45 * time.Second, trace, false},
	{"heaps", "what a known script takes, and the dispatcher over a backlog", time.Minute, heaps, false},
	{"first", "first runs, with and without an env runner, and their calls of the control plane, real processes", time.Minute, first, true},
	{"growth", "CPU a run after 20,000 runs", 30 * time.Second, growth, false},
	{"million", "CPU a run after a million runs; last, as it takes longest", 150 * time.Second, aMillion, false},
}

// chosenMost is for each measurement that was chosen by its name: on a machine
// that does other work too, one may take several times its most.
const chosenMost = 30 * time.Minute

// bench is a run of the program.
type bench struct {
	dir      string // for temporary files
	bin      string // folder of the binaries, once they are built
	where    where
	figures  figures
	recorded []string // names, of this run
	out      io.Writer
	verbose  bool
	profiles string // folder for profiles; empty: none
}

func (b *bench) record(name string, value float64) {
	b.figures[name] = b.where.figure(value)
	b.recorded = append(b.recorded, name)
}

// say prints details, if they are asked for.
func (b *bench) say(format string, args ...any) {
	if b.verbose {
		fmt.Fprintf(b.out, format, args...)
	}
}

func main() {
	only := flag.String("only", "", "make only these `measurements`, separated by commas; none: write the documents anew")
	write := flag.Bool("update", false, "write the figures to "+figuresFile+", BENCHMARKS.md and README.md")
	asJSON := flag.Bool("json", false, "print the figures as JSON")
	verbose := flag.Bool("v", false, "print what each measurement says")
	var peer peerLoad
	flag.IntVar(&peer.workers, "as-peer", 0, "make the load of .ci/peers with so many `workers`, and print it as JSON")
	flag.IntVar(&peer.runs, "runs", burstRuns, "with -as-peer: runs of the burst")
	flag.IntVar(&peer.steadyRuns, "steady-runs", 200, "with -as-peer: runs at the rate")
	flag.IntVar(&peer.rate, "steady-rate", 20, "with -as-peer: runs a second")
	var versus comparison
	flag.StringVar(&versus.folder, "against", "", "compare the CPU time of a burst's runs, in turn, with the binaries of another commit in this `folder`")
	flag.IntVar(&versus.rounds, "rounds", 7, "with -against: bursts of each")
	profiles := flag.String("profiles", "", "write profiles to this `folder`: with -against of the CPU in each burst, and of a worker's heap with parked runs")
	flag.Usage = usage
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	act := func() error { return start(ctx, *only, *write, *asJSON, *verbose, *profiles) }
	if versus.folder != "" {
		versus.profiles = *profiles
		act = func() error { return versus.print(ctx, os.Stdout) }
	}
	if peer.workers > 0 {
		act = func() error { return peer.print(ctx, os.Stdout) }
	}
	err := act()
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func usage() {
	out := flag.CommandLine.Output()
	fmt.Fprintln(out, "usage: go run ./.ci/bench [-only NAME,…] [-update] [-json] [-v]\n       go run ./.ci/bench -against DIR [-rounds N] [-profiles DIR]\n\nMeasurements:")
	for _, m := range measurements {
		fmt.Fprintf(out, "  %-10s %s\n", m.name, m.about)
	}
	fmt.Fprintln(out, "\nFlags:")
	flag.PrintDefaults()
}

func start(ctx context.Context, only string, write, asJSON, verbose bool, profiles string) (err error) {
	chosen, err := choose(only)
	if err != nil {
		return err
	}
	b, err := open(ctx)
	if err != nil {
		return err
	}
	defer os.RemoveAll(b.dir)
	b.verbose, b.profiles = verbose, profiles
	if slices.ContainsFunc(chosen, func(m measurement) bool { return m.real }) {
		if err := b.build(); err != nil { // outside of the time of each measurement
			return err
		}
	}
	failed := b.measure(ctx, chosen)
	if write {
		if err := b.update(); err != nil {
			return err
		}
	}
	if asJSON {
		return errors.Join(failed, b.printJSON(os.Stdout))
	}
	if only == "" {
		printTable(os.Stdout, b.figures, nil)
	} else if len(b.recorded) > 0 {
		printTable(os.Stdout, b.figures, b.recorded)
	}
	if table, err := b.costs(); err == nil && only == "" {
		fmt.Printf("\n%s", table)
	}
	return failed
}

// open goes to the root of the repository. The caller removes the folder.
func open(ctx context.Context) (*bench, error) {
	root, err := program.Root()
	if err != nil {
		return nil, err
	}
	if err := os.Chdir(root); err != nil {
		return nil, err
	}
	b := &bench{where: here(commit(ctx), runtime.NumCPU()), out: os.Stderr}
	if b.figures, err = readFigures(figuresFile); err != nil {
		return nil, err
	}
	b.dir, err = os.MkdirTemp("", "bench-")
	return b, err
}

// choose returns the measurements of these names; all without a name.
func choose(only string) ([]measurement, error) {
	if only == "" {
		return measurements, nil
	}
	if only == "none" {
		return nil, nil
	}
	var chosen []measurement
	for name := range strings.SplitSeq(only, ",") {
		i := slices.IndexFunc(measurements, func(m measurement) bool { return m.name == name })
		if i < 0 {
			return nil, fmt.Errorf("there is no measurement %q; -h lists them", name)
		}
		m := measurements[i]
		m.most = chosenMost
		chosen = append(chosen, m)
	}
	return chosen, nil
}

// measure makes all measurements, whether or not one fails.
func (b *bench) measure(ctx context.Context, chosen []measurement) (failed error) {
	for i, m := range chosen {
		fmt.Fprintf(b.out, "%d of %d: %s: %s …\n", i+1, len(chosen), m.name, m.about)
		began := time.Now()
		limited, cancel := context.WithTimeout(ctx, m.most)
		err := m.run(limited, b)
		cancel()
		if err != nil {
			fmt.Fprintf(b.out, "    failed: %v\n", err)
			failed = errors.Join(failed, fmt.Errorf("%s: %w", m.name, err))
		}
		fmt.Fprintf(b.out, "    %.0f s\n", time.Since(began).Seconds())
		if ctx.Err() != nil {
			return failed
		}
	}
	return failed
}

// update writes what was measured to the files that show it.
func (b *bench) update() error {
	if err := b.figures.write(figuresFile); err != nil {
		return err
	}
	if err := update("BENCHMARKS.md", "goals", markdown(b.figures)); err != nil {
		return err
	}
	table, err := b.costs()
	if err != nil {
		return err
	}
	if err := update("README.md", "costs", table); err != nil {
		return err
	}
	if table, err = measuredTable(b.figures); err != nil {
		return err
	}
	return update("README.md", "measured", table)
}

// costs is the table of what a million runs cost.
func (b *bench) costs() (string, error) {
	return costTable(prices.List(), b.figures)
}

func (b *bench) printJSON(out io.Writer) error {
	measured := figures{}
	for _, name := range b.recorded {
		measured[name] = b.figures[name]
	}
	encoder := json.NewEncoder(out)
	encoder.SetIndent("", "  ")
	return encoder.Encode(measured)
}

// commit is the commit that is measured, with a + if there are changes to it.
func commit(ctx context.Context) string {
	out, err := exec.CommandContext(ctx, "git", "describe", "--always", "--dirty=+", "--exclude", "*").Output()
	if err != nil {
		return "unknown"
	}
	return strings.TrimSpace(string(out))
}
