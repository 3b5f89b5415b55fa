package redisledger

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/scriptfleet/scriptfleet/pkg/fleettest/redistest"
	"github.com/scriptfleet/scriptfleet/pkg/fleettest/wait"
	"github.com/scriptfleet/scriptfleet/pkg/ledger"
	"github.com/scriptfleet/scriptfleet/pkg/ledger/ledgertest"
	"github.com/scriptfleet/scriptfleet/pkg/run"
)

func TestARedisOutOfReachIsSaidToBe(t *testing.T) {
	server := redistest.Start(t)
	client := redistest.Connect(t, server.Addr)
	l := New(Config{Timeout: 50 * time.Millisecond}, client)
	h := ledger.Hold{Entry: ledger.Entry{Key: "k"}, Owner: "w", Fence: 1}
	check := func(why string) {
		t.Helper()
		for name, err := range ledgertest.CallAll(t.Context(), l, h) {
			if !errors.Is(err, ledger.ErrUnavailable) || errors.Is(err, ledger.ErrLost) {
				t.Errorf("%s: %s fails with %v", why, name, err)
			}
		}
	}
	server.Pause()
	check("paused")
	server.Stop()
	check("stopped")
}

func TestARestartedRedisGoesOnWithItsHolders(t *testing.T) {
	server := redistest.Start(t)
	l := New(Config{}, redistest.Connect(t, server.Addr))
	a := claim(t, l, "k", "a")
	server.Restart() // without the record and without the scripts
	errs, err := l.Renew(t.Context(), []ledger.Hold{a}, time.Minute)
	if err != nil || errs[0] != nil {
		t.Fatal(errs, err)
	}
	answers, err := l.Claim(t.Context(), []ledger.Claim{{Entry: a.Entry, Owner: "b"}}, time.Minute)
	if err != nil || answers[0].Granted || answers[0].HeldBy != "a" {
		t.Fatal(answers, err)
	}
}

func TestAClaimRunsOutByTheServersOwnClock(t *testing.T) {
	l := New(Config{}, redistest.Connect(t, redistest.Start(t).Addr))
	e := ledger.Entry{Key: "k"}
	first, err := l.Claim(t.Context(), []ledger.Claim{{Entry: e, Owner: "a"}}, 50*time.Millisecond)
	if err != nil || !first[0].Granted {
		t.Fatal(first, err)
	}
	wait.Until(t, 10*time.Second, "the claim still holds", func() bool {
		second, err := l.Claim(t.Context(), []ledger.Claim{{Entry: e, Owner: "b"}}, time.Minute)
		if err != nil {
			t.Fatal(err)
		}
		return second[0].Granted
	})
}

// Fences have 16 digits. Lua's tostring would print them as 1.7e+15.
func TestFencesKeepAllTheirDigits(t *testing.T) {
	l := New(Config{}, redistest.Connect(t, redistest.Start(t).Addr))
	h := claim(t, l, "k", "a")
	h.Fence += 1_000_000_000_000_001 // as of a clock that is far ahead
	for _, step := range []int64{0, 1, 1} {
		h.Fence += step
		if errs, err := l.Renew(t.Context(), []ledger.Hold{h}, time.Minute); err != nil || errs[0] != nil {
			t.Fatalf("fence %d: %v %v", h.Fence, errs, err)
		}
		old := h
		old.Fence--
		if errs, err := l.Renew(t.Context(), []ledger.Hold{old}, time.Minute); err != nil || errs[0] != ledger.ErrLost {
			t.Fatalf("fence %d beside %d: %v %v", old.Fence, h.Fence, errs, err)
		}
	}
	if err := l.Release(t.Context(), h, false); err != nil {
		t.Fatal(err)
	}
	if next := claim(t, l, "k", "b"); next.Fence != h.Fence+1 {
		t.Errorf("fence %d after %d", next.Fence, h.Fence)
	}
}

func TestPrefixesAreApart(t *testing.T) {
	client := redistest.Connect(t, redistest.Start(t).Addr)
	for _, c := range [][2]string{{"a", "x:runs:y"}, {"a:runs:x", "y"}, {"a%3Aruns%3Ax", "y"}} {
		claim(t, New(Config{Prefix: c[0]}, client), c[1], c[0])
	}
}

func TestAPublishedRunIsKeptSmall(t *testing.T) {
	client := redistest.Connect(t, redistest.Start(t).Addr)
	l := New(Config{}, client)
	for _, status := range run.Statuses {
		key := fmt.Sprintf("%-26s", status)
		h := claim(t, l, key, "w")
		if _, err := l.Finish(t.Context(), []ledger.Finish{{Hold: h, Status: status, Result: make([]byte, 10_000)}}); err != nil {
			t.Fatal(err)
		}
		open := client.MemoryUsage(t.Context(), "scriptfleet:runs:"+key).Val()
		if err := l.Published(t.Context(), []run.Key{run.Key(key)}); err != nil {
			t.Fatal(err)
		}
		used := client.MemoryUsage(t.Context(), "scriptfleet:runs:"+key).Val()
		if used > 120 || used == 0 {
			t.Errorf("a run that %s takes %d bytes once it is published", status, used)
		}
		if ttl := client.PTTL(t.Context(), "scriptfleet:runs:"+key).Val(); ttl <= 95*time.Hour || ttl > 96*time.Hour {
			t.Errorf("and is kept for %s", ttl)
		}
		t.Logf("%s: %d bytes done, %d published", status, open, used)
	}
	claim(t, l, "abcdefghijklmnopqrstuvwxyz", "01JD0000000000000000000000")
	t.Logf("claimed: %d bytes", client.MemoryUsage(t.Context(), "scriptfleet:runs:abcdefghijklmnopqrstuvwxyz").Val())
}

func claim(t testing.TB, l *Ledger, key, owner string) ledger.Hold {
	t.Helper()
	e := ledger.Entry{Key: run.Key(key), Tenant: "acme", Source: "/stories/phishing-triage", ID: "01JD0000000000000000000000",
		Action: "extract_iocs", Script: "abcdefghijklmnopqrstuvwxyz"}
	answers, err := l.Claim(t.Context(), []ledger.Claim{{Entry: e, Owner: owner}}, time.Minute)
	if err != nil || !answers[0].Granted {
		t.Fatalf("claim %s: %+v %v", key, answers, err)
	}
	return answers[0].Hold
}
