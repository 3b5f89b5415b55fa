package redisledger

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/scriptfleet/scriptfleet/pkg/ledger"
	"github.com/scriptfleet/scriptfleet/pkg/run"
)

// letters are the states as Redis has them (see lua/record.lua).
var letters = map[string]ledger.State{
	"":  ledger.Unknown,
	"q": ledger.Queued,
	"c": ledger.Claimed,
	"i": ledger.Invoking,
	"d": ledger.Done,
	"p": ledger.Published,
}

// into makes a reader that stores what read makes of an answer.
func into[T any](to *T, read func(any) (T, error)) func(answer any) error {
	return func(answer any) (err error) {
		*to, err = read(answer)
		return err
	}
}

func ignore(any) error { return nil }

func stateOf(answer any) (ledger.State, error) {
	letter, ok := answer.(string)
	state, known := letters[letter]
	if !ok || !known {
		return ledger.Unknown, fmt.Errorf("redis answers %v for a state", answer)
	}
	return state, nil
}

// lostOf reads the answer for a hold: 1, or 0 where it is lost. lost is nil or
// ErrLost; err is set for any other answer.
func lostOf(answer any) (lost, err error) {
	switch answer {
	case int64(1):
		return nil, nil
	case int64(0):
		return ledger.ErrLost, nil
	}
	return nil, fmt.Errorf("redis answers %v for a hold", answer)
}

// answerOf reads what a claim answers (told in lua/calls.lua).
func answerOf(c ledger.Claim, answer any) (ledger.Answer, error) {
	v, ok := answer.([]any)
	if !ok || len(v) != 10 {
		return ledger.Answer{}, fmt.Errorf("redis answers %v for a claim", answer)
	}
	r := reader{v: v}
	a := ledger.Answer{
		State:     r.state(0),
		Granted:   r.number(1) == 1,
		HeldBy:    text(r.text(3)),
		HeldFor:   time.Duration(r.number(4)) * time.Millisecond,
		Attempts:  int(r.number(5)),
		Claims:    int(r.number(6)),
		Cancelled: r.text(7) == "1",
	}
	if result := r.text(8); result != "" {
		a.Result = []byte(result)
	}
	if a.Granted {
		a.Fresh = a.State == ledger.Unknown
		a.Hold = ledger.Hold{Entry: c.Entry, Owner: c.Owner, Fence: r.number(2), Attempts: a.Attempts}
		if r.number(9) == 1 {
			a.Hold = a.Hold.Begun()
		}
	}
	return a, r.err
}

// reader reads the elements of a list that Redis answered, and keeps the first
// error.
type reader struct {
	v   []any
	err error
}

func (r *reader) text(i int) string {
	s, ok := r.v[i].(string)
	if !ok {
		r.fail(i)
	}
	return s
}

func (r *reader) state(i int) ledger.State {
	s, err := stateOf(r.v[i])
	if err != nil {
		r.fail(i)
	}
	return s
}

// number reads an integer, which Redis returns as an integer or as a string of
// digits.
func (r *reader) number(i int) int64 {
	switch v := r.v[i].(type) {
	case int64:
		return v
	case string:
		if n, err := strconv.ParseInt(v, 10, 64); err == nil {
			return n
		}
	}
	r.fail(i)
	return 0
}

func (r *reader) fail(i int) {
	if r.err == nil {
		r.err = fmt.Errorf("redis answers %v in place %d", r.v[i], i+1)
	}
}

// Lines of a record: see lua/record.lua.
const (
	lineState = iota
	lineSince
	lineAttempts
	lineOwner
	lineFence
	lineTill
	lineClaims
	lineBefore
	lineCancelled
	lineWaiting
	lineTenant
	lineSource
	lineID
	lineAction
	lineScript
	lines
)

// recordOf reads a record; now is the server's time. A number that is invalid
// becomes zero, since the record is only shown to people.
func recordOf(k run.Key, stored string, now time.Time) ledger.Record {
	r := ledger.Record{Entry: ledger.Entry{Key: k}}
	v := strings.SplitN(stored, "\n", lines+1)
	if len(v) <= lineAttempts {
		return r
	}
	if s := v[lineState]; s != "" {
		r.State, r.Status = letters[s[:1]], run.Status(s[1:])
	}
	r.Attempts, _ = strconv.Atoi(v[lineAttempts])
	if seconds, err := strconv.ParseFloat(v[lineSince], 64); err == nil {
		r.Since = time.UnixMilli(int64(math.Round(seconds * 1000)))
	}
	if len(v) < lines { // published
		return r
	}
	r.Entry.Tenant, r.Entry.Source, r.Entry.ID = text(v[lineTenant]), text(v[lineSource]), text(v[lineID])
	r.Entry.Action, r.Entry.Script = text(v[lineAction]), run.ScriptHash(text(v[lineScript]))
	r.Waiting, r.Cancelled = text(v[lineWaiting]), v[lineCancelled] == "1"
	if r.State == ledger.Claimed || r.State == ledger.Invoking {
		r.Owner = text(v[lineOwner])
		end, _ := strconv.ParseInt(v[lineTill], 10, 64)
		r.ClaimLeft = max(0, time.UnixMilli(end).Sub(now))
	}
	return r
}
