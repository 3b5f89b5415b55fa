package replay

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/scriptfleet/scriptfleet/pkg/run"
)

// Generate describes a generated batch.
type Generate struct {
	Tenants      int           // default 5
	Scripts      int           // of all tenants, assigned in turn; default 8, or one per tenant if there are more tenants
	Requests     int           // of all scripts, assigned in turn; default 200
	Sleep        time.Duration // of every run
	Requirements int           // number of scripts that need a package from the index
	Failing      int           // number of scripts that raise
	// Set names the scripts: a set has the same scripts in every replay.
	Set string
}

// generatedPackage is small, has no dependencies, and has a wheel for every
// Python.
const generatedPackage = "idna==3.10"

// ParseGenerate parses name=value pairs separated by commas.
func ParseGenerate(text string) (Generate, error) {
	g := Generate{Tenants: 5, Requests: 200}
	counts := map[string]*int{
		"tenants": &g.Tenants, "scripts": &g.Scripts, "requests": &g.Requests, "requirements": &g.Requirements, "failing": &g.Failing,
	}
	for pair := range strings.SplitSeq(text, ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(pair), "=")
		var err error
		switch count, ok := counts[name]; {
		case ok:
			if *count, err = strconv.Atoi(value); err == nil && *count < 0 {
				err = fmt.Errorf("less than 0")
			}
		case name == "sleep":
			g.Sleep, err = time.ParseDuration(value)
		default:
			return g, fmt.Errorf("%q is none of tenants, scripts, requests, sleep, requirements, failing", name)
		}
		if err != nil {
			return g, fmt.Errorf("%s: %w", pair, err)
		}
	}
	if g.Scripts == 0 {
		g.Scripts = max(8, g.Tenants)
	}
	return g, g.check()
}

func (g Generate) check() error {
	switch {
	case g.Tenants < 1 || g.Requests < 1:
		return fmt.Errorf("tenants=%d, requests=%d: use 1 or more", g.Tenants, g.Requests)
	case g.Scripts < g.Tenants:
		return fmt.Errorf("scripts=%d are fewer than tenants=%d: no two tenants share one", g.Scripts, g.Tenants)
	case g.Requirements+g.Failing > g.Scripts:
		return fmt.Errorf("requirements=%d and failing=%d are more than scripts=%d", g.Requirements, g.Failing, g.Scripts)
	case g.Sleep < 0 || g.Sleep > maxSleep:
		return fmt.Errorf("sleep=%s: use 0 to %s", g.Sleep, maxSleep)
	}
	return nil
}

// maxSleep leaves a run time to start and to end within the longest timeout
// that a fleet allows by default.
const maxSleep = 50 * time.Second

// Events are the batch. All requests of one script are the same event.
func (g Generate) Events() ([]*Event, error) {
	scripts := make([]*Event, g.Scripts)
	for i := range scripts {
		var err error
		if scripts[i], err = g.script(i); err != nil {
			return nil, err
		}
	}
	events := make([]*Event, g.Requests)
	for i := range events {
		events[i] = scripts[i%len(scripts)]
	}
	return events, nil
}

// script is script number i: those with requirements come first, those that
// fail last.
func (g Generate) script(i int) (*Event, error) {
	s := generated{
		tenant: fmt.Sprintf("tenant-%03d", i%g.Tenants+1),
		action: fmt.Sprintf("script-%03d", i+1),
		set:    g.Set, sleep: g.Sleep, longest: g.Sleep,
		fails: i >= g.Scripts-g.Failing,
	}
	if i < g.Requirements {
		s.requirements = generatedPackage
	}
	return s.event()
}

// generated is a script that sleeps and answers, and a run of it.
type generated struct {
	tenant, action, set string
	requirements        string
	sleep, longest      time.Duration // of this run; of any run of the script
	fails               bool
}

func (s generated) event() (*Event, error) {
	input, err := json.Marshal(map[string]float64{"sleep_seconds": s.sleep.Seconds()})
	if err != nil {
		return nil, fmt.Errorf("encode the input of %s: %w", s.action, err)
	}
	line, err := run.Request{
		SpecVersion: run.SpecVersion, Type: run.TypeRequested, Source: "/generated", ID: s.action, Tenant: s.tenant,
		Data: run.RequestData{
			Action: s.action, Script: s.text(), Requirements: s.requirements, Input: input,
			TimeoutSeconds: 10 + int(s.longest.Seconds()),
		},
	}.Encode()
	if err != nil {
		return nil, fmt.Errorf("encode %s: %w", s.action, err)
	}
	return ParseEvent(line)
}

func (s generated) text() string {
	name, _, _ := strings.Cut(s.requirements, "==")
	var b strings.Builder
	fmt.Fprintf(&b, "# %s of %s, set %q\nimport time\n", s.action, s.tenant, s.set)
	if name != "" {
		fmt.Fprintf(&b, "import %s\n", name)
	}
	b.WriteString("\n\ndef main(input):\n    time.sleep(input[\"sleep_seconds\"])\n")
	if s.fails {
		b.WriteString("    raise ValueError(\"this script was generated to fail\")\n")
	} else {
		fmt.Fprintf(&b, "    return {\"script\": %q}\n", s.action)
	}
	return b.String()
}
