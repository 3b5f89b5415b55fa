package main

import (
	"net/http"
	"strings"
	"time"
)

// call is one call of Lambda, as the proxy has seen it.
type call struct {
	op           string
	began, ended time.Time
}

// opOf names the calls that a first run makes.
func opOf(r *http.Request) string {
	switch {
	case strings.HasSuffix(r.URL.Path, "/invocations"):
		return "Invoke"
	case strings.Contains(r.URL.Path, "/layers/"):
		return r.Method + " layer"
	case isGetFunction(r.URL.Path):
		return r.Method + " function"
	}
	return r.Method + " functions"
}

// steps are how long the steps of first runs took, in ms, by their names.
type steps struct {
	order []string
	took  map[string][]float64
}

// add divides a run among its steps. A call ends one step and begins the next.
func (s *steps) add(began, ended time.Time, calls []call) {
	last := began
	until := func(name string, at time.Time) {
		if _, known := s.took[name]; !known {
			if s.took == nil {
				s.took = map[string][]float64{}
			}
			s.order = append(s.order, name)
		}
		s.took[name] = append(s.took[name], milliseconds(at.Sub(last)))
		last = at
	}
	created := false
	for n, c := range calls {
		switch {
		case c.op == "GET function" && !created && n == 0:
			until("intake, claim and lease", c.began)
			until("look for the function", c.ended)
		case c.op == "POST layer":
			until("compile and pack the script; layer: uv, bytecode, zip", c.began)
			until("PublishLayerVersion", c.ended)
		case c.op == "POST functions":
			until("rest of compile and pack, records, tokens", c.began)
			until("CreateFunction", c.ended)
			created = true
		case c.op == "Invoke":
			if n == 0 {
				until("until Invoke", c.began)
			} else {
				until("until it is Active, and the record", c.began)
			}
			until("Invoke: init and run", c.ended)
		}
	}
	until("result", ended)
}

// say prints the medians, as rows of a table.
func (s *steps) say(b *bench, title string) {
	b.say("| %s | ms |\n|---|---|\n", title)
	for _, name := range s.order {
		b.say("| %s | %.1f |\n", name, median(s.took[name]))
	}
}
