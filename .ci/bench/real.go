package main

import (
	"context"
	"fmt"
	"time"

	"github.com/scriptfleet/scriptfleet/pkg/fleettest/wait"
)

const (
	rounds    = 3
	burstRuns = 3000
)

// burst measures runs a second and CPU a run of a burst with one worker: with
// functions in Python, and with a stub in their place.
func burst(ctx context.Context, b *bench) error {
	f, err := b.start(ctx, 1)
	if err != nil {
		return err
	}
	defer f.close()
	stubbed, err := b.startProxied(ctx)
	if err != nil {
		return err
	}
	defer stubbed.close()
	for _, f := range []*fleet{f, stubbed} {
		if _, err := f.burst(ctx, 1000); err != nil { // builds, and starts the environments
			return err
		}
	}
	stubbed.proxy.stub.Store(true)
	var rates, stubs, fleets, alls []float64
	for range rounds {
		fleetBefore, allBefore := f.cpu()
		took, err := f.burst(ctx, burstRuns)
		if err != nil {
			return err
		}
		fleetAfter, allAfter := f.cpu()
		rates = append(rates, burstRuns/took.Seconds())
		fleets = append(fleets, milliseconds(fleetAfter-fleetBefore)/burstRuns)
		alls = append(alls, milliseconds(allAfter-allBefore)/burstRuns)

		if took, err = stubbed.burst(ctx, burstRuns); err != nil {
			return err
		}
		stubs = append(stubs, burstRuns/took.Seconds())
	}
	b.record("burst.python", median(rates))
	b.record("burst.stub", median(stubs))
	b.record("cpu.fleet", median(fleets))
	b.record("cpu.all", median(alls))
	return nil
}

// delay measures what the fleet adds to a run of nothing at 20 runs a second, in
// turn with Celery: on a busy machine one round of each compares nothing.
func delay(ctx context.Context, b *bench) error {
	f, err := b.start(ctx, 1)
	if err != nil {
		return err
	}
	defer f.close()
	if _, err := f.burst(ctx, 200); err != nil {
		return err
	}
	figures := map[string][]float64{}
	for range rounds {
		const runs = 200
		sorted, spent, err := f.steady(ctx, runs, 20)
		if err != nil {
			return err
		}
		celery, err := b.delayOf(ctx, "celery")
		if err != nil {
			return err
		}
		own := delays{milliseconds(percentile(sorted, 0.5)), milliseconds(percentile(sorted, 0.99))}
		b.say("the fleet %.1f / %.1f ms, Celery %.1f / %.1f ms\n", own.P50, own.P99, celery.P50, celery.P99)
		b.say("of a mean run: intake %.1f, queue %.1f, execute %.1f, publish %.1f ms\n",
			float64(spent.Intake)/runs, float64(spent.Queue)/runs, float64(spent.Execute)/runs, float64(spent.Publish)/runs)
		for name, value := range map[string]float64{
			"delay.p50": own.P50, "delay.p99": own.P99, "delay.p50.celery": own.P50 / celery.P50, "delay.p99.celery": own.P99 / celery.P99,
		} {
			figures[name] = append(figures[name], value)
		}
	}
	for name, values := range figures {
		b.record(name, median(values))
	}
	return nil
}

// bridged measures first runs of new scripts in a known env, which the tenant's
// env runner executes, over the next run of the same script by its own function.
func bridged(ctx context.Context, b *bench) error {
	f, err := b.startProxied(ctx, "--env-runner", "on")
	if err != nil {
		return err
	}
	defer f.close()
	const known = "idna==3.10"
	w := f.workers[0]
	builds := func(step string, n int) error {
		series := fmt.Sprintf("scriptfleet_build_finished_total{outcome=%q,step=%q}", "built", step)
		if !wait.Soon(startIn, func() bool { got, _ := w.metric(series); return int(got) >= n }) {
			return fmt.Errorf("build %d of a %s does not end", n, step)
		}
		return nil
	}
	script := func(i int) ask {
		return ask{tenant: "first", script: fmt.Sprintf("import idna\n%s# %d\n", noop, i), requirements: known}
	}
	if _, err := f.one(ctx, script(0)); err != nil {
		return err
	}
	if err := builds("runner", 1); err != nil {
		return err
	}
	var over []float64
	var calls float64
	var coldSteps, warmSteps steps
	for i := 1; i <= 1+9; i++ { // the first one meets the runner's cold start
		f.proxy.calls()
		cold, err := f.oneBySteps(ctx, script(i), &coldSteps)
		if err != nil {
			return err
		}
		seen := f.proxy.calls()
		if _, err := f.one(ctx, script(i)); err != nil { // has the function built
			return err
		}
		if err := builds("script", 1+i); err != nil {
			return err
		}
		if _, err := f.one(ctx, script(i)); err != nil { // meets its cold start
			return err
		}
		warm, err := f.oneBySteps(ctx, script(i), &warmSteps)
		if err != nil {
			return err
		}
		b.say("bridged %s, warm %s, calls %v\n", cold, warm, seen)
		if i > 1 {
			over, calls = append(over, milliseconds(cold-warm)), calls+float64(len(seen))
		}
	}
	coldSteps.say(b, "first run in an env runner")
	warmSteps.say(b, "warm run")
	b.record("bridged.first", median(over))
	b.record("calls.bridged", calls)
	return nil
}

// first measures first runs of new scripts in a known env, and in envs that
// only the download cache knows, by the scripts' own functions.
func first(ctx context.Context, b *bench) error {
	f, err := b.startProxied(ctx, "--env-runner", "off")
	if err != nil {
		return err
	}
	defer f.close()
	f.proxy.calls() // of the start
	calls := func() float64 {
		seen := f.proxy.calls()
		b.say("calls: %v\n", seen)
		return float64(len(seen))
	}
	const known = "idna==3.10"
	if _, err := f.one(ctx, ask{tenant: "first", script: noop, requirements: known}); err != nil {
		return err
	}
	b.record("calls.new", calls())
	if _, err := f.one(ctx, ask{tenant: "first", script: noop + "# known\n", requirements: known}); err != nil {
		return err
	}
	b.record("calls.known", calls())

	var over []float64
	var warmCalls float64
	var knownSteps, newSteps steps
	for i := range 9 {
		a := ask{tenant: "first", script: fmt.Sprintf("%s# %d\n", noop, i), requirements: known}
		cold, err := f.oneBySteps(ctx, a, &knownSteps)
		if err != nil {
			return err
		}
		calls()
		warm, err := f.one(ctx, a)
		if err != nil {
			return err
		}
		warmCalls += calls()
		over = append(over, milliseconds(cold-warm))
	}
	b.record("first.known", median(over))
	b.record("calls.warm", warmCalls)
	knownSteps.say(b, "first run in a known env")

	var ratios []float64
	for _, version := range []string{"4.12.3", "4.12.2", "4.12.1", "4.12.0", "4.11.0"} {
		requirements := "humanize==" + version
		if _, err := b.uv(ctx, requirements); err != nil { // fills the download cache
			return err
		}
		alone, err := b.uv(ctx, requirements)
		if err != nil {
			return err
		}
		took, err := f.oneBySteps(ctx, ask{tenant: "first", script: "import humanize\n" + noop, requirements: requirements}, &newSteps)
		if err != nil {
			return err
		}
		b.say("humanize %s: first run %s, uv alone %s\n", version, took.Round(time.Millisecond), alone.Round(time.Millisecond))
		ratios = append(ratios, float64(took)/float64(alone))
	}
	b.record("first.new", median(ratios))
	newSteps.say(b, "first run in a new env")
	return bridged(ctx, b)
}
