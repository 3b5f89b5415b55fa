package run

import (
	"encoding/json"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"
)

func TestUnquoteReadsWhatEncodingJSONReads(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.OneOf(rapid.String(), rapid.StringMatching(`[\\"/bn\x00-\x20😀]*`)).Draw(t, "text")
		quoted, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		var want string
		if err := json.Unmarshal(quoted, &want); err != nil {
			t.Fatal(err)
		}
		if got, ok := unquote(quoted); !ok || got != want || !utf8.ValidString(got) {
			t.Fatalf("%s was read as %q, %v, want %q", quoted, got, ok, want)
		}
		if n := valueEnd(append(quoted, `,"x"`...)); n != len(quoted) {
			t.Fatalf("%s ends at %d", quoted, n)
		}
	})
}

func TestMembersFindEveryValueOfAnObject(t *testing.T) {
	text := ` { "a" : "}\\\"]" ,"b":[ {"]":"["} ] , "c":{ }, "d":-1.5e3 ,"e":null,"f":[]} `
	want := []string{`"a"`, `"}\\\"]"`, `"b"`, `[ {"]":"["} ]`, `"c"`, `{ }`, `"d"`, `-1.5e3`, `"e"`, `null`, `"f"`, `[]`}
	var got []string
	for name, value := range members([]byte(text)) {
		got = append(got, string(name), string(value))
	}
	if len(got) != len(want) {
		t.Fatalf("got %q", got)
	}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("got %s, want %s", got[i], want[i])
		}
	}
}

func TestNestingCountsWhatPythonWouldRefuse(t *testing.T) {
	depth, digits := nesting([]byte(`{"a":[[1234],{"x":"[[[[123456789"}],"b":-12.345e67}`))
	if depth != 3 || digits != 4 {
		t.Errorf("depth %d, digits %d", depth, digits)
	}
}
