// Package slottest holds implementations of slot.Slots to their contract: by
// single tests, by a model under random operations, and by concurrent callers.
package slottest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/scriptfleet/scriptfleet/pkg/slot"
)

// Env is one implementation under test, without a taken slot.
type Env struct {
	Slots slot.Slots
	Pass  func(d time.Duration) // moves the clock of the slots by d
	Flush func()                // removes all that the implementation has stored
	Slow  bool                  // the test with the model then runs fewer cases
}

const ttl = 30 * time.Second

// Run runs the contract. It calls run for each of its tests; run makes a fresh
// Env and calls test with it, inside a synctest bubble if the implementation is
// in memory.
func Run(t *testing.T, run func(t *testing.T, test func(t *testing.T, e Env))) {
	for name, test := range map[string]func(tester){
		"AScopeGrantsAsManySlotsAsItsCap":             grantsUpToCap,
		"ASlotThatIsGivenBackIsGrantedToAnother":      giveFrees,
		"AnOwnerThatAsksAgainCountsOnce":              ownerCountsOnce,
		"AskingAgainRenews":                           askingRenews,
		"ASlotExpiresWithItsHolder":                   expires,
		"RenewMakesASlotLast":                         renewExtends,
		"RenewGrantsASlotThatRanOut":                  renewGrants,
		"RenewDoesNotMindALowerCap":                   renewOverCap,
		"ALowerCapHoldsForNewAsks":                    lowerCap,
		"ACapOfZeroGrantsNothing":                     zeroCap,
		"ScopesAreIndependent":                        scopesAreIndependent,
		"ScopesWhoseNamesBeginAlikeAreIndependent":    oddScopes,
		"ManyAsksShareACallAndAreAnsweredInOrder":     manyInOrder,
		"AsksOfOneCallCountTogether":                  oneCallCounts,
		"WhatWasForgottenIsGrantedToWhoAsks":          takeAfterFlush,
		"WhatWasForgottenIsGrantedAgainOnRenew":       renewAfterFlush,
		"GivingWhatIsNotTakenIsNoError":               giveNothing,
		"AShorterSlotDoesNotShortenTheOthers":         shorterSlot,
		"NothingIsAskedForNoSlots":                    emptyCalls,
		"AnEndedContextIsAnErrorAndNotARedisThatWent": endedContext,
		"OfManyAtOnceAsManyAsTheCapAreGranted":        manyAtOnce,
		"TheCapHoldsWhileManyTakeAndGive":             capHolds,
		"AgreesWithTheModel":                          agreesWithModel,
	} {
		t.Run(name, func(t *testing.T) {
			run(t, func(t *testing.T, e Env) { test(tester{T: t, Env: e, ctx: t.Context()}) })
		})
	}
}

// tester calls the slots of one Env, and fails the test on unexpected errors.
type tester struct {
	*testing.T
	Env
	ctx context.Context
}

func (t tester) take(scope, owner string, limit int, want bool) {
	t.Helper()
	got, err := t.Slots.Take(t.ctx, []slot.Ask{{Scope: scope, Owner: owner, Cap: limit}}, ttl)
	t.ok(err)
	if got[0] != want {
		t.Errorf("%s takes of %s: %v, want %v", owner, scope, got[0], want)
	}
}

func (t tester) renew(scope, owner string) {
	t.Helper()
	t.ok(t.Slots.Renew(t.ctx, []slot.Ask{{Scope: scope, Owner: owner, Cap: 1}}, ttl))
}

func (t tester) give(scope, owner string) {
	t.Helper()
	t.ok(t.Slots.Give(t.ctx, []slot.Ask{{Scope: scope, Owner: owner}}))
}

func (t tester) inUse(scope string, want int) {
	t.Helper()
	got, err := t.Slots.InUse(t.ctx, []string{"nobody's", scope})
	t.ok(err)
	if !slices.Equal(got, []int{0, want}) {
		t.Errorf("%d slots of nobody and %s are in use, want 0 and %d", got, scope, want)
	}
}

func (t tester) ok(err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func grantsUpToCap(t tester) {
	t.inUse("s", 0)
	t.take("s", "a", 2, true)
	t.take("s", "b", 2, true)
	t.take("s", "c", 2, false)
	t.inUse("s", 2)
	t.take("s", "c", 3, true)
}

func giveFrees(t tester) {
	t.take("s", "a", 1, true)
	t.give("s", "a")
	t.inUse("s", 0)
	t.take("s", "b", 1, true)
	t.take("s", "a", 1, false)
}

func ownerCountsOnce(t tester) {
	for range 3 {
		t.take("s", "a", 2, true)
	}
	t.inUse("s", 1)
	t.take("s", "b", 2, true)
	t.take("s", "a", 2, true)
}

func askingRenews(t tester) {
	t.take("s", "a", 1, true)
	t.Pass(ttl * 2 / 3)
	t.take("s", "a", 1, true)
	t.Pass(ttl * 2 / 3)
	t.take("s", "b", 1, false)
}

func expires(t tester) {
	t.take("s", "a", 2, true)
	t.Pass(ttl / 2)
	t.take("s", "b", 2, true)
	t.Pass(ttl/2 + time.Second)
	t.inUse("s", 1)
	t.take("s", "c", 2, true)
	t.take("s", "d", 2, false)
	t.Pass(ttl + time.Second)
	t.inUse("s", 0)
}

func renewExtends(t tester) {
	t.take("s", "a", 1, true)
	for range 3 {
		t.Pass(ttl * 2 / 3)
		t.renew("s", "a")
	}
	t.take("s", "b", 1, false)
	t.Pass(ttl + time.Second)
	t.take("s", "b", 1, true)
}

func renewGrants(t tester) {
	t.take("s", "a", 1, true)
	t.Pass(ttl + time.Second)
	t.renew("s", "a")
	t.take("s", "b", 1, false)
}

func renewOverCap(t tester) {
	t.take("s", "a", 1, true)
	t.Pass(ttl + time.Second)
	t.take("s", "b", 1, true)
	t.renew("s", "a")
	t.inUse("s", 2)
}

func lowerCap(t tester) {
	for i := range 4 {
		t.take("s", fmt.Sprint("a", i), 4, true)
	}
	t.take("s", "b", 2, false)
	t.take("s", "a0", 2, true)
	t.give("s", "a1")
	t.give("s", "a2")
	t.take("s", "b", 2, false)
	t.give("s", "a3")
	t.take("s", "b", 2, true)
}

func zeroCap(t tester) {
	t.take("s", "a", 0, false)
	t.take("s", "a", -1, false)
	t.inUse("s", 0)
}

func scopesAreIndependent(t tester) {
	t.take("s1", "a", 1, true)
	t.take("s2", "a", 1, true)
	t.give("s1", "a")
	t.inUse("s1", 0)
	t.inUse("s2", 1)
}

func oddScopes(t tester) {
	for _, s := range []string{"a", "a:b", "a b", "", "slot", "slot:a", "*", slot.Scope("a", "b:c"), slot.Scope("a:b", "c")} {
		t.take(s, "x", 1, true)
		t.take(s, "y", 1, false)
	}
}

func manyInOrder(t tester) {
	var asks []slot.Ask
	for i := range 1203 { // more than two scripts of redisslot handle
		asks = append(asks, slot.Ask{Scope: fmt.Sprint("s", i), Owner: "a", Cap: i % 2})
	}
	granted, err := t.Slots.Take(t.ctx, asks, ttl)
	t.ok(err)
	for i, g := range granted {
		if g != (i%2 == 1) {
			t.Fatalf("ask %d: %v", i, g)
		}
	}
	t.ok(t.Slots.Renew(t.ctx, asks, ttl))
	t.inUse("s1202", 1)
	t.ok(t.Slots.Give(t.ctx, asks))
	t.inUse("s1201", 0)
}

func oneCallCounts(t tester) {
	granted, err := t.Slots.Take(t.ctx, []slot.Ask{{Scope: "s", Owner: "a", Cap: 2}, {Scope: "s", Owner: "b", Cap: 2},
		{Scope: "s", Owner: "c", Cap: 2}, {Scope: "s", Owner: "a", Cap: 2}}, ttl)
	t.ok(err)
	if got := fmt.Sprint(granted); got != "[true true false true]" {
		t.Errorf("granted are %s", got)
	}
}

func takeAfterFlush(t tester) {
	t.take("s", "a", 1, true)
	t.Flush()
	t.take("s", "b", 1, true)
}

func renewAfterFlush(t tester) {
	t.take("s", "a", 1, true)
	t.Flush()
	t.renew("s", "a")
	t.take("s", "b", 1, false)
}

func giveNothing(t tester) {
	t.give("s", "a")
	t.take("s", "a", 1, true)
	t.Pass(ttl + time.Second)
	t.give("s", "a")
	t.inUse("s", 0)
}

func shorterSlot(t tester) {
	t.take("s", "a", 2, true)
	_, err := t.Slots.Take(t.ctx, []slot.Ask{{Scope: "s", Owner: "b", Cap: 2}}, ttl/3)
	t.ok(err)
	t.Pass(ttl / 2)
	t.inUse("s", 1)
	t.ok(t.Slots.Renew(t.ctx, []slot.Ask{{Scope: "s", Owner: "c"}}, ttl/10))
	t.Pass(ttl / 4)
	t.inUse("s", 1)
}

func emptyCalls(t tester) {
	_, err := t.Slots.Take(t.ctx, nil, ttl)
	t.ok(err)
	t.ok(t.Slots.Renew(t.ctx, nil, ttl))
	t.ok(t.Slots.Give(t.ctx, nil))
}

func endedContext(t tester) {
	ctx, cancel := context.WithCancel(t.ctx)
	cancel()
	for name, err := range CallAll(ctx, t.Slots) {
		if !errors.Is(err, context.Canceled) || errors.Is(err, slot.ErrUnavailable) {
			t.Errorf("%s fails with %v", name, err)
		}
	}
	t.inUse("s", 0)
}

// CallAll calls every method once and returns their errors by the method's
// name. It serves tests of the errors while Redis is away.
func CallAll(ctx context.Context, s slot.Slots) map[string]error {
	errs, asks := map[string]error{}, []slot.Ask{{Scope: "s", Owner: "a", Cap: 1}}
	_, errs["Take"] = s.Take(ctx, asks, ttl)
	errs["Renew"] = s.Renew(ctx, asks, ttl)
	errs["Give"] = s.Give(ctx, asks)
	_, errs["InUse"] = s.InUse(ctx, []string{"s"})
	return errs
}
