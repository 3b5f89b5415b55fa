package function

import (
	"testing"
)

func TestCompilerAnswersForEachSourceInItsOrder(t *testing.T) {
	for minor, python := range interpreters(t) {
		answers, err := compile(t.Context(), python, []byte("x = 1\n"), nil, []byte("x = (\n"), []byte("y = 2\n"))
		if err != nil || len(answers) != 4 {
			t.Fatalf("python %s: %d answers, %v", minor, len(answers), err)
		}
		for i, faulty := range []bool{false, false, true, false} {
			if a := answers[i]; (a.Fault != "") != faulty || (len(a.pyc) > 0) == faulty {
				t.Errorf("python %s: answer %d is %d bytes, fault %q", minor, i, len(a.pyc), a.Fault)
			}
		}
	}
}

func TestHalfAnAnswerIsNone(t *testing.T) {
	for _, text := range []string{"", "\n", "5\nabc", "-1\nabc", "x\nabc", "1 9\nab"} {
		if parts := unframed([]byte(text)); len(parts) > 0 {
			t.Errorf("%q is %q", text, parts)
		}
	}
}
