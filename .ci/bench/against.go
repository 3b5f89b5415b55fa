package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"sync"

	"github.com/scriptfleet/scriptfleet/pkg/fleettest"
)

// comparison compares the binaries of this commit with those in another folder:
// a fleet of each has bursts in turn, so that both meet the same other load.
type comparison struct {
	folder   string
	rounds   int
	profiles string // folder; empty: none
}

// print prints, for each process, the medians of CPU time and allocations a run.
func (c comparison) print(ctx context.Context, out io.Writer) error {
	b, err := open(ctx)
	if err != nil {
		return err
	}
	defer os.RemoveAll(b.dir)
	own, err := b.start(ctx, 1)
	if err != nil {
		return err
	}
	defer own.close()
	b.bin = c.folder
	other, err := b.start(ctx, 1)
	if err != nil {
		return err
	}
	defer other.close()
	now, before := spending{}, spending{}
	for round := range c.rounds + 1 { // the first one starts the environments
		for f, all := range map[*fleet]spending{own: now, other: before} {
			folder := c.profiles
			if f == other {
				folder = ""
			}
			spent, err := f.spend(ctx, round, folder)
			if err != nil {
				return err
			}
			if round > 0 {
				all.add(spent)
			}
		}
	}
	return now.print(out, before)
}

// spending is what a run took, by process and kind, one value a round.
type spending map[string][]float64

func (s spending) add(other map[string]float64) {
	for name, value := range other {
		s[name] = append(s[name], value)
	}
}

func (s spending) print(out io.Writer, before spending) error {
	names := make([]string, 0, len(s))
	for name := range s {
		names = append(names, name)
	}
	slices.Sort(names)
	_, err := fmt.Fprintf(out, "%-28s %12s %12s %8s\n", "a run", "before", "now", "ratio")
	for _, name := range names {
		old, now := median(before[name]), median(s[name])
		_, err = fmt.Fprintf(out, "%-28s %12.3f %12.3f %8.3f\n", name, old, now, now/old)
	}
	return err
}

// processes are those of the fleet that can be profiled.
func (f *fleet) processes() map[string]*running {
	return map[string]*running{"dispatcher": f.dispatcher, "worker": f.workers[0], "stack": f.stack}
}

// spend measures a burst. With a folder it also writes profiles there.
func (f *fleet) spend(ctx context.Context, round int, profiles string) (map[string]float64, error) {
	before, err := f.spent()
	if err != nil {
		return nil, err
	}
	var profiling sync.WaitGroup
	if profiles != "" {
		for name, p := range f.processes() {
			profiling.Go(func() {
				_ = p.save(f.set, "/debug/pprof/profile?seconds=4", filepath.Join(profiles, fmt.Sprintf("%s-cpu-%d", name, round)))
			})
		}
	}
	took, err := f.burst(ctx, burstRuns)
	profiling.Wait()
	if err != nil {
		return nil, err
	}
	after, err := f.spent()
	if err != nil {
		return nil, err
	}
	if profiles != "" {
		for name, p := range f.processes() {
			_ = p.save(f.set, "/debug/pprof/allocs", filepath.Join(profiles, name+"-allocs"))
		}
	}
	for name := range after {
		after[name] = (after[name] - before[name]) / burstRuns
	}
	after["ms (time)"] = milliseconds(took) / burstRuns
	return after, nil
}

// spent is what each process has used so far.
func (f *fleet) spent() (map[string]float64, error) {
	all := map[string]float64{
		"ms CPU: all":   milliseconds(cpu(f.dispatcher.PID, f.workers[0].PID, f.stack.PID)),
		"ms CPU: redis": milliseconds(redisOf(f.stack.PID)),
	}
	functions := all["ms CPU: all"] - all["ms CPU: redis"]
	for name, p := range f.processes() {
		_, _, used, _ := readStat(fmt.Sprintf("/proc/%d/stat", p.PID))
		all["ms CPU: "+name] = milliseconds(used)
		functions -= milliseconds(used)
		for kind, metric := range map[string]string{"allocs": "go_memstats_mallocs_total", "KB": "go_memstats_alloc_bytes_total"} {
			value, err := p.metric(metric)
			if err != nil {
				return nil, err
			}
			if kind == "KB" {
				value /= 1000
			}
			all[kind+": "+name] = value
		}
	}
	all["ms CPU: functions"] = functions
	return all, nil
}

// save writes a profile of the process to a file. The stack's ask for its key.
func (r *running) save(set fleettest.Settings, path, file string) error {
	req, err := http.NewRequest(http.MethodGet, "http://"+r.admin()+path, nil) //nolint:noctx // of a process that the fleet ends
	if err != nil {
		return err
	}
	req.SetBasicAuth(set["AWS_ACCESS_KEY_ID"], set["AWS_SECRET_ACCESS_KEY"])
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	out, err := os.Create(file)
	if err != nil {
		return err
	}
	defer out.Close()
	_, err = io.Copy(out, resp.Body)
	return err
}
