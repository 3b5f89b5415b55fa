package telemetry

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/scriptfleet/scriptfleet/pkg/probe"
)

// readiness is the page /readyz: the parts of the process, with the reason for
// each that is down. It is text, or JSON for ?format=json or the header Accept:
// application/json.
type readiness func() []probe.State

func (parts readiness) ready() bool { return allUp(parts()) }

// allUp tells whether all parts are up. It is false if there is no part yet.
func allUp(states []probe.State) bool {
	for _, s := range states {
		if s.Holds() {
			return false
		}
	}
	return len(states) > 0
}

func (parts readiness) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	states := parts()
	show, kind := writeText, "text/plain; charset=utf-8"
	if r.FormValue("format") == "json" || strings.Contains(r.Header.Get("Accept"), "application/json") {
		show, kind = writeJSON, "application/json"
	}
	w.Header().Set("Content-Type", kind)
	if !allUp(states) {
		w.WriteHeader(http.StatusServiceUnavailable)
	}
	show(w, states, time.Now())
}

func writeText(w io.Writer, states []probe.State, now time.Time) {
	if allUp(states) {
		fmt.Fprintln(w, "ok")
	} else {
		fmt.Fprintln(w, "not ready")
	}
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, s := range states {
		state, why := "up", ""
		if s.Reason != nil {
			state, why = "down", oneLine(s.Reason)
			if s.Optional {
				state = "warning"
			}
		}
		fmt.Fprintf(table, "%s\t%s for %s\t%s\n", s.Part, state, now.Sub(s.Since).Round(time.Second), why)
	}
	_ = table.Flush()
}

// oneLine joins the lines of a reason with several errors.
func oneLine(reason error) string { return strings.ReplaceAll(reason.Error(), "\n", "; ") }

// shownPart is a part in JSON.
type shownPart struct {
	Part     string    `json:"part"`
	Up       bool      `json:"up"`
	Optional bool      `json:"optional,omitempty"`
	Since    time.Time `json:"since"`
	Reason   string    `json:"reason,omitempty"`
}

func writeJSON(w io.Writer, states []probe.State, _ time.Time) {
	shown := make([]shownPart, len(states))
	for i, s := range states {
		shown[i] = shownPart{Part: s.Part, Up: s.Reason == nil, Optional: s.Optional, Since: s.Since}
		if s.Reason != nil {
			shown[i].Reason = oneLine(s.Reason)
		}
	}
	_ = json.NewEncoder(w).Encode(struct {
		Ready bool        `json:"ready"`
		Parts []shownPart `json:"parts"`
	}{allUp(states), shown})
}
