package layer

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/scriptfleet/scriptfleet/pkg/builds"
	"github.com/scriptfleet/scriptfleet/pkg/run"
)

// everyReason has every kind of build failure, and how long it is remembered.
// Only failures that the same requirements cause again on any worker are
// remembered for long.
func everyReason(t *testing.T) map[string]struct {
	err  error
	long bool
} {
	t.Helper()
	s := run.Script{Requirements: "six==99\njson\nwide==1\ncgi\ndistutils", Runtime: run.Runtime{Name: "python3.13", Python: "3.13", Platform: "manylinux_2_34"}}
	b := &Builder{cfg: Config{Timeout: 5 * time.Minute, MaxUnpackedBytes: DefaultMaxUnpackedBytes}}
	sizes := newSizes(DefaultMaxUnpackedBytes, func(error) {})
	sizes.read("Downloading torch (865.2MiB)")
	type reason = struct {
		err  error
		long bool
	}
	return map[string]reason{
		"no package":            {notFoundPackage(wanted{what: "sixx"}, s), true},
		"no package, by":        {notFoundPackage(wanted{what: "sixx", by: "wide==1"}, s), true},
		"no version":            {notFoundVersion(wanted{what: "six==99"}, "", s), true},
		"no version, near":      {notFoundVersion(wanted{what: "six==99"}, "1.17.0", s), true},
		"no version, by":        {notFoundVersion(wanted{what: "six==99", by: "wide==1"}, "", s), true},
		"no wheel":              {noWheel(wanted{what: "six==99"}, s), true},
		"no wheel at all":       {noWheel(wanted{what: "six", all: true}, s), true},
		"no wheel, by":          {noWheel(wanted{what: "six==1", by: "wide==1"}, s), true},
		"no wheel at all, by":   {noWheel(wanted{what: "six==1", by: "wide==1", all: true}, s), true},
		"another Python":        {wrongPython(wanted{what: "six==99"}, ">=3.14", s), true},
		"another Python, by":    {wrongPython(wanted{what: "six==1", by: "wide==1"}, ">=3.14", s), true},
		"broken wheel":          {brokenWheel("six==99"), true},
		"part of Python":        {notFoundPackage(wanted{what: "json"}, s), true},
		"was part of Python":    {notFoundPackage(wanted{what: "cgi"}, s), true},
		"was, and has no heir":  {notFoundPackage(wanted{what: "distutils"}, s), true},
		"in Python's place":     {partOfPython("enum34", "enum", s.Runtime), true},
		"conflict":              {conflict("wide==1 needs six<2, but six==99 is required too"), true},
		"unreadable":            {invalid("foo bar"), true},
		"an option":             {refuseUnsafe("--pre"), true},
		"too large, announced":  {b.blame(t.Context(), errTooLarge, s, sizes), true},
		"too large":             {tooLarge(300<<20, DefaultMaxUnpackedBytes, []sized{{"torch", 290 << 20}}), true},
		"search stopped":        {b.blame(t.Context(), errUnresolved, s, sizes), false},
		"time is up":            {b.blame(t.Context(), errTimeout, s, sizes), false},
		"a call's time is up":   {b.blame(t.Context(), context.DeadlineExceeded, s, sizes), false},
		"disk full":             {b.blame(t.Context(), syscall.ENOSPC, s, sizes), false},
		"index away":            {commonFault("connection refused"), false},
		"index refuses":         {commonFault("401 Unauthorized"), false},
		"no installer":          {installer{}.withPip(t.Context(), s, workshop{}, nil), false},
		"installer broke":       {b.blame(t.Context(), unknown("uv", "thread 'main' panicked"), s, sizes), false},
		"installer was killed":  {b.blame(t.Context(), &exitError{program: "uv", memory: true}, s, sizes), false},
		"sandbox can not begin": {b.blame(t.Context(), fmt.Errorf("start uv: %w", syscall.EPERM), s, sizes), false},
	}
}

// TestEveryReasonIsASentenceForItsOwner logs the messages side by side.
func TestEveryReasonIsASentenceForItsOwner(t *testing.T) {
	folder := regexp.MustCompile(`(^|\s)/\w`)
	for name, r := range everyReason(t) {
		var e *run.Error
		if !errors.As(r.err, &e) {
			t.Errorf("%s: %v is no reason", name, r.err)
			continue
		}
		t.Logf("%-22s %-9s %-20s %s", name, e.Owner, e.Type, e.Message)
		if !strings.HasSuffix(e.Message, ".") || strings.Contains(e.Message, "  ") || folder.MatchString(e.Message) || len(e.Message) > 400 || strings.Contains(e.Message, "needs needs") {
			t.Errorf("%s is no short sentence: %s", name, e.Message)
		}
		if e.Owner == run.OwnerAuthor && e.Field != "data.requirements" {
			t.Errorf("%s names the field %q", name, e.Field)
		}
		if e.Owner == run.OwnerOperator && !strings.Contains(e.Message, "the operator has to") {
			t.Errorf("%s does not say what the operator has to do: %s", name, e.Message)
		}
		if long := builds.RememberedForLong(e); long != r.long {
			t.Errorf("%s is remembered for long: %v, want %v", name, long, r.long)
		}
	}
}
