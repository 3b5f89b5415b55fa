package worker

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/scriptfleet/scriptfleet/pkg/builds"
	"github.com/scriptfleet/scriptfleet/pkg/function"
	"github.com/scriptfleet/scriptfleet/pkg/ledger"
	"github.com/scriptfleet/scriptfleet/pkg/outbox"
	"github.com/scriptfleet/scriptfleet/pkg/panics"
	"github.com/scriptfleet/scriptfleet/pkg/run"
)

// given are the facts of a first attempt of a young run, with changes.
func given(err error, change ...func(*facts)) facts {
	f := facts{err: err, maxAttempts: 3, budget: true, giveUpAfter: time.Hour, age: time.Minute, receives: 3,
		expiresAt: time.Date(2026, 11, 23, 9, 10, 0, 0, time.UTC)}
	for _, c := range change {
		c(&f)
	}
	return f
}

// failed are the facts of a first invocation that failed with the class.
func failed(class function.Class, change ...func(*facts)) facts {
	err := &function.Error{Class: class, Op: "Invoke", Err: errors.New("a test says so")}
	return given(err, append([]func(*facts){func(f *facts) { f.invoked, f.class, f.attempts = true, class, 1 }}, change...)...)
}

func ofOne(f *facts) {
	f.err = &function.Error{Class: function.Throttled, Reason: "TooManyRequestsException/ReservedFunctionConcurrentInvocationLimitExceeded"}
}
func noSession(f *facts) {
	f.err = &function.Error{Class: function.Throttled, Reason: function.NoSession}
}
func unanswered(f *facts) { f.err = errors.New("the deadline ran out") }
func panicked(f *facts)   { f.err = &panics.Error{ID: "1"} }
func read(f *facts)       { f.read = true }
func claimed(f *facts)    { f.claimed = true }
func once(f *facts)       { f.atMostOnce = true }
func old(f *facts)        { f.age = 61 * time.Minute }
func third(f *facts)      { f.attempts = 3 }
func spent(f *facts)      { f.budget = false }
func tried(f *facts)      { f.attempts = 1 }
func aged(age time.Duration) func(*facts) {
	return func(f *facts) { f.age = age }
}
func since(cause error) func(*facts) {
	return func(f *facts) { f.ended = cause }
}

// TestJudge lists every case of judge. A verdict is written as
//
//	answered <status> <owner> <type>, or
//	put_back in <longest delay>[ executed], or its kind alone;
//
// then the effects.
func TestJudge(t *testing.T) {
	author := &run.Error{Owner: run.OwnerAuthor, Type: "Bad", Message: "Mend it."}
	away := fmt.Errorf("claim: %w", ledger.ErrUnavailable)
	for name, c := range map[string]struct {
		facts facts
		want  string
	}{
		// Before the invocation: what the claim found.
		"published before":             {given(outbox.ErrPublished), "remove"},
		"another worker's":             {given(&outbox.HeldError{By: "w2", For: 9 * time.Second}), "put_back in 9s"},
		"another's claim about to end": {given(&outbox.HeldError{By: "w2"}), "put_back in 1s"},
		"cannot be read":               {given(&unreadableError{author}), "bury"},
		"refused":                      {given(&endError{run.Rejected, author}), "answered rejected author Bad"},
		"refused as it expires":        {given(&endError{run.Rejected, author}, since(errExpired)), "answered rejected author Bad"},
		"at most once, and tried":      {given(errExecuted, tried, once), "answered platform_error platform MayHaveExecuted"},
		"tried to the last attempt":    {given(errExhausted, third), "answered platform_error platform AttemptsExhausted"},
		"cancelled when claimed":       {given(errCancelled), "answered cancelled author Cancelled"},
		"expired when claimed":         {given(errExpired), "answered expired platform Expired"},
		// Before the invocation: what stands in the way.
		"build failed":             {given(&builds.FailedError{Reason: author}), "answered build_failed author Bad"},
		"build failed as it stops": {given(&builds.FailedError{Reason: author}, since(errStopping)), "answered build_failed author Bad"},
		"builder closed":           {given(builds.ErrClosed), "put_back in 0s"},
		"too many wait for builds": {given(errParked), "put_back in 8s, waits for a place among the runs that wait for builds here"},
		"over a cap":               {given(&overCap{why: "the cap of tenant acme"}), "put_back in 8s"},
		"tenant stopped":           {given(&overCap{stopped: true}), "put_back in 8s"},
		"tenant stopped for long":  {given(&overCap{stopped: true}, aged(2*time.Hour)), "put_back in 7m30s"},
		"tenant stopped for a day": {given(&overCap{stopped: true}, aged(24*time.Hour)), "put_back in 15m0s"},
		"tenant stopped too long":  {given(&overCap{stopped: true}, aged(stoppedEnd)), "answered expired operator TenantStopped"},
		"ledger away":              {given(away), "put_back in 8s"},
		// Before the invocation: why the waiting has ended.
		"claim lost, says the ledger":    {given(fmt.Errorf("begin: %w", ledger.ErrLost)), "leave"},
		"claim lost, says the heartbeat": {given(errLost, since(errLost)), "leave"},
		"claim not renewed":              {given(errLapsed), "put_back in 8s, unclaim"},
		"cancelled while it waited":      {given(errCancelled, since(errCancelled)), "answered cancelled author Cancelled"},
		"expired while it waited":        {given(errExpired, since(errExpired)), "answered expired platform Expired"},
		"stopping":                       {given(errStopping, since(errStopping)), "put_back in 0s"},
		"stopping, ledger away":          {given(away, since(errStopping)), "put_back in 0s"},
		// A panic, wherever it happened.
		"panic before it was read":    {given(&panics.Error{ID: "1"}), "bury"},
		"panic before it was claimed": {given(&panics.Error{ID: "1"}, read), "put_back in 8s"},
		"panic":                       {given(&panics.Error{ID: "1"}, read, claimed), "answered platform_error platform InternalError"},
		"panic as it stops":           {given(&panics.Error{ID: "1"}, read, claimed, since(errStopping)), "answered platform_error platform InternalError"},
		"panic while it was invoked":  {failed("", panicked, read, claimed), "answered platform_error platform InternalError"},
		"panic without the claim":     {given(&panics.Error{ID: "1"}, read, claimed, since(errLost)), "leave"},
		// The invocation: nothing executed, so the attempt does not count.
		"throttled":               {failed(function.Throttled), "put_back in 8s, throttle, uncount, waits for Lambda's throttle to pass"},
		"throttled, one function": {failed(function.Throttled, ofOne), "put_back in 8s, uncount, waits for Lambda's throttle to pass"},
		// STS throttles, not Lambda: the limit of turns stays, and the intake goes on.
		"throttled, no session":      {failed(function.Throttled, noSession), "put_back in 8s, uncount, waits for STS, which takes no more calls at the moment"},
		"throttled, at most once":    {failed(function.Throttled, once), "put_back in 8s, throttle, uncount, waits for Lambda's throttle to pass"},
		"throttled, third attempt":   {failed(function.Throttled, third), "put_back in 8s, throttle, uncount, waits for Lambda's throttle to pass"},
		"throttled, too old":         {failed(function.Throttled, old), "answered platform_error operator Throttled, throttle, uncount"},
		"not ready":                  {failed(function.NotReady), "put_back in 8s, uncount, waits for its function to become ready"},
		"not ready, too old":         {failed(function.NotReady, old), "answered platform_error operator FunctionNotReady, uncount"},
		"never sent":                 {failed(function.Unsent), "put_back in 8s, pause, uncount, waits for Lambda, which is out of reach"},
		"never sent, too old":        {failed(function.Unsent, old), "answered platform_error operator FunctionServiceUnavailable, pause, uncount"},
		"signature refused":          {failed(function.BadSignature), "put_back in 8s, uncount, waits for keys that Lambda takes"},
		"signature refused, too old": {failed(function.BadSignature, old), "answered platform_error operator SignatureRefused, uncount"},
		"function gone":              {failed(function.NotFound), "put_back in 8s, forget, uncount, waits for its function, which was gone, to be built again"},
		"function broken":            {failed(function.BadState), "put_back in 8s, forget, uncount, waits for its function, which was gone, to be built again"},
		"function gone, too old":     {failed(function.NotFound, old), "answered platform_error operator FunctionMissing, forget, uncount"},
		// The invocation: the operator or the platform has to act.
		"denied":                 {failed(function.Denied), "answered platform_error operator FunctionAccessDenied, uncount"},
		"the operator's":         {failed(function.Operator), "answered platform_error operator FunctionServiceFault, uncount"},
		"refused by the service": {failed(function.Refused), "answered platform_error platform InvocationRefused, uncount"},
		"conflict":               {failed(function.Conflict), "answered platform_error platform InvocationRefused, uncount"},
		// The invocation: it may have been executed.
		"no answer":                    {failed(function.Ambiguous), "put_back in 8s executed, repeat"},
		"no answer, too old":           {failed(function.Ambiguous, old), "put_back in 8s executed, repeat"},
		"no answer, no class":          {failed("", unanswered), "put_back in 8s executed, repeat"},
		"no answer, at most once":      {failed(function.Ambiguous, once), "answered platform_error platform MayHaveExecuted"},
		"no answer, third attempt":     {failed(function.Ambiguous, third), "answered platform_error platform AttemptsExhausted"},
		"no answer, budget spent":      {failed(function.Ambiguous, spent), "answered platform_error platform AttemptsExhausted"},
		"drain over":                   {failed(function.Ambiguous, since(errStopping)), "put_back in 0s executed"},
		"drain over, at most once":     {failed(function.Ambiguous, since(errStopping), once), "put_back in 0s executed"},
		"claim lost while it executed": {failed(function.Ambiguous, since(errLost)), "leave"},
		"claim lost, throttled":        {failed(function.Throttled, since(errLost)), "leave"},
	} {
		v, e := judge(c.facts)
		if got := written(v, e); got != c.want {
			t.Errorf("%s:\n got %s\nwant %s", name, got, c.want)
		}
		if v.kind == answered && (v.outcome.Error == nil || v.outcome.Error.Message == "") {
			t.Errorf("%s: no sentence says what to do", name)
		}
	}
}

func written(v verdict, e effects) string {
	s := string(v.kind)
	switch v.kind {
	case answered:
		s += fmt.Sprintf(" %s %s %s", v.outcome.Status, v.outcome.Error.Owner, v.outcome.Error.Type)
	case putBack:
		s += " in " + v.within.String()
		if v.executed {
			s += " executed"
		}
	}
	parts := []string{s}
	for _, effect := range []struct {
		on   bool
		name string
	}{
		{e.throttle, "throttle"}, {e.pause, "pause"}, {e.forget, "forget"}, {e.repeat, "repeat"},
		{e.uncount, "uncount"}, {e.unclaim, "unclaim"}, {e.waitsFor != "", "waits for " + e.waitsFor},
	} {
		if effect.on {
			parts = append(parts, effect.name)
		}
	}
	return strings.Join(parts, ", ")
}

func TestJudgeKnowsEveryClassOfError(t *testing.T) {
	for _, class := range []function.Class{
		function.Throttled, function.NotReady, function.NotFound, function.Conflict, function.Refused,
		function.Denied, function.Operator, function.Unsent, function.Ambiguous, function.BadState, function.BadSignature,
	} {
		v, e := judge(failed(class))
		ran := class.MayHaveExecuted()
		if v.kind == putBack && v.executed != ran {
			t.Errorf("%s: executed is %t", class, v.executed)
		}
		if e.uncount == ran {
			t.Errorf("%s: the attempt is taken back: %t", class, e.uncount)
		}
	}
}

func TestPutBacksGrowToAMinute(t *testing.T) {
	for receives, want := range map[int]time.Duration{1: 2 * time.Second, 2: 4 * time.Second, 6: 64 * time.Second, 99: 64 * time.Second} {
		v, _ := judge(given(errParked, func(f *facts) { f.receives = receives }))
		if v.within != want {
			t.Errorf("after %d receives: within %s, want %s", receives, v.within, want)
		}
	}
}

func TestThrottleOfOneFunctionIsNotTheAccounts(t *testing.T) {
	for reason, one := range map[string]bool{
		"TooManyRequestsException/ReservedFunctionConcurrentInvocationLimitExceeded": true,
		"TooManyRequestsException/ConcurrentInvocationLimitExceeded":                 false,
		"TooManyRequestsException/CallerRateLimitExceeded":                           false,
	} {
		if ofOneFunction(&function.Error{Class: function.Throttled, Reason: reason}) != one {
			t.Errorf("%s: want %t", reason, one)
		}
	}
}
