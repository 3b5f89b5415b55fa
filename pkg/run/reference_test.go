package run

import (
	"strings"
	"testing"
)

// byReference is a request without a script, with these fields of data.
func byReference(data string) string {
	return `{"tenant":"acme","source":"/s","id":"1","data":{` + data + `}}`
}

func TestAReferenceIsAnIdAndAVersionOrALabel(t *testing.T) {
	version := strings.Repeat("a", 26)
	for text, want := range map[string]Reference{
		"phishing/extract":        {ID: "phishing/extract"},
		"a@prod":                  {ID: "a", Label: "prod"},
		"a@" + version:            {ID: "a", Version: ScriptVersion(version)},
		"a@" + version[1:]:        {ID: "a", Label: version[1:]},
		"a_b.c-d/e/9@2026.11.rc1": {ID: "a_b.c-d/e/9", Label: "2026.11.rc1"},
	} {
		got, bad := ParseReference(text)
		if bad != nil || got != want || got.String() != text {
			t.Errorf("%s is %+v, %v", text, got, bad)
		}
	}
	for _, text := range []string{"", "@prod", "a@", "a@b@c", "a//b", "/a", "a/", "A", "a b", "../a", "a/../b", "a/.b", "a@-x", "a@B", "a@" + version + "a", "a\n", strings.Repeat("a", 129)} {
		if got, bad := ParseReference(text); bad == nil || bad.Type != InvalidReference || !strings.HasPrefix(bad.Message, "data.script_ref is ") {
			t.Errorf("%q is taken for %+v, %v", text, got, bad)
		}
	}
}

func TestTheScriptOfAReferenceIsSealedAndItsOwnFunction(t *testing.T) {
	p := testPolicy(t, PolicyConfig{})
	pushed := Pushed{Source: "def main(input): pass", Requirements: "six", Runtime: "python3.12", TimeoutSeconds: 7}
	r := decoded(t, PolicyConfig{}, byReference(`"script_ref":"a@prod","caller":"team-b"`))
	if ref, ok := r.Reference(); !ok || ref.Label != "prod" || r.Script != (Script{}) {
		t.Errorf("decoded as %+v", r)
	}
	full, bad := p.Complete(r, "a", pushed, november)
	if bad != nil {
		t.Fatal(bad)
	}
	s := full.Script
	if !s.Sealed || s.Source != pushed.Source || s.Requirements != "six" || s.Runtime.Name != "python3.12" || s.TimeoutSeconds != 7 || full.Data.Script != "" {
		t.Errorf("completed to %+v", full)
	}
	if want := "a@" + string(pushed.Version()); full.Data.ScriptRef != want {
		t.Errorf("the run names %s, want %s", full.Data.ScriptRef, want)
	}
	plain := decoded(t, PolicyConfig{}, event("data.script", `"def main(input): pass"`))
	sealed, _ := p.Complete(r, "a", Pushed{Source: "def main(input): pass"}, november)
	if plain.Script.Hash == sealed.Script.Hash {
		t.Error("a sealed script shares the function of one that shows its text")
	}
}

func TestAPushedScriptThatCannotRunIsRefusedWithoutItsText(t *testing.T) {
	p := testPolicy(t, PolicyConfig{})
	r := decoded(t, PolicyConfig{}, byReference(`"script_ref":"a"`))
	for kind, pushed := range map[string]Pushed{
		InvalidScript:      {Source: " "},
		UnknownRuntime:     {Source: "secret = 1", Runtime: "python2.7"},
		InvalidTimeout:     {Source: "secret = 1", TimeoutSeconds: 61},
		InvalidRequirement: {Source: "secret = 1", Requirements: "six ="},
	} {
		_, bad := p.Complete(r, "a", pushed, november)
		if bad == nil || bad.Type != kind || strings.Contains(bad.Message, "secret") || strings.Contains(bad.Message, "data.") {
			t.Errorf("%+v: %v, want %s", pushed, bad, kind)
		}
	}
}

// A reference is part of object keys.
func FuzzAReferenceStaysWithinItsFolder(f *testing.F) {
	for _, seed := range []string{"a/b@prod", "../a", "a@..", "a~b", "a/../b@c", "a@" + strings.Repeat("a", 26)} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		r, bad := ParseReference(text)
		if bad != nil {
			return
		}
		if r.String() != text || strings.Contains("/"+r.ID+"/", "/../") || strings.ContainsAny(text, "~\\%\x00") || r.Label != "" && r.Version != "" {
			t.Errorf("%q is taken for %+v", text, r)
		}
	})
}
