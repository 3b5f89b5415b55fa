package trace

import (
	"testing"

	"github.com/scriptfleet/scriptfleet/pkg/run"
)

const (
	parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
	header = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1"
)

func TestPlaceIsTheSendersOrMadeFromTheKey(t *testing.T) {
	key := run.KeyOf("acme", "/s", "1")
	own := Place{TraceID: idOf(key)}.ID()
	for _, c := range []struct {
		traceparent, header string
		trace, parent       string
		sampled             bool
	}{
		{parent, "", "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7", true},
		{parent, header, "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7", true},
		{parent[:53] + "00", "", "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7", false},
		{"cc" + parent[2:] + "-more", "", "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7", true},
		{"", header, "5759e988bd862e3fe1be46a994272793", "53995c3f42cd8ad8", true},
		{"", "Root=1-5759e988-bd862e3fe1be46a994272793; Parent=53995c3f42cd8ad8 ;Sampled=0;Lineage=a:0", "5759e988bd862e3fe1be46a994272793", "53995c3f42cd8ad8", false},
		{"", "", own, "0000000000000000", false},
		// What is not valid counts as missing.
		{"nonsense", "", own, "0000000000000000", false},
		{parent + "-more", "", own, "0000000000000000", false},
		{"ff" + parent[2:], "", own, "0000000000000000", false},
		{"00-00000000000000000000000000000000-00f067aa0ba902b7-01", "", own, "0000000000000000", false},
		{"00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01", "", own, "0000000000000000", false},
		{"00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01", "", own, "0000000000000000", false},
		{"", "Root=1-5759e988-bd862e3fe1be46a994272793;Sampled=1", own, "0000000000000000", false},
		{"", "Root=nonsense;Parent=53995c3f42cd8ad8", own, "0000000000000000", false},
		{"", ";;=", own, "0000000000000000", false},
	} {
		r := run.Run{Key: key, Request: run.Request{Traceparent: c.traceparent}}
		p := PlaceOf(r, c.header)
		if p.ID() != c.trace || p.Parent.String() != c.parent || p.Sampled != c.sampled || p.Key != key {
			t.Errorf("%q, %q: trace %s, parent %s, sampled %t", c.traceparent, c.header, p.ID(), p.Parent, p.Sampled)
		}
		if again, ok := parseTraceparent(p.Traceparent()); ok && (again.TraceID != p.TraceID || again.Parent != p.Parent || again.Sampled != p.Sampled) {
			t.Errorf("%+v is passed on as %s", p, p.Traceparent())
		}
	}
	if own == "" || own == (Place{TraceID: idOf(run.KeyOf("acme", "/s", "2"))}).ID() {
		t.Errorf("the trace of a run is %q, and that of another too", own)
	}
	if p := PlaceOf(run.Run{}, ""); p.ID() != "" {
		t.Errorf("a request without a key is in trace %s", p.ID())
	}
}

func TestTraceHeaderOfAnXRayPlaceIsTheSame(t *testing.T) {
	p, ok := parseXRay(header)
	if got := p.XRay(); !ok || got != header {
		t.Errorf("%s becomes %s", header, got)
	}
	if got := (Place{TraceID: p.TraceID}).XRay(); got != "" {
		t.Errorf("a run that nobody traces has the header %s", got)
	}
}

func FuzzPlace(f *testing.F) {
	f.Add(parent, header)
	f.Add("cc"+parent[2:]+"-", "Root=1-")
	f.Fuzz(func(t *testing.T, traceparent, header string) {
		r := run.Run{Key: run.KeyOf("a", "b", "c"), Request: run.Request{Traceparent: traceparent}}
		p := PlaceOf(r, header)
		if !p.TraceID.IsValid() {
			t.Fatalf("no trace for %q, %q", traceparent, header)
		}
		if h := p.XRay(); h != "" {
			if again, ok := parseXRay(h); !ok || again.TraceID != p.TraceID || again.Parent != p.Parent || again.Sampled != p.Sampled {
				t.Fatalf("%q is read as %+v, not %+v", h, again, p)
			}
		}
	})
}
