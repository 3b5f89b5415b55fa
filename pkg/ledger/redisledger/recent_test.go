package redisledger

import (
	"fmt"
	"testing"

	"github.com/scriptfleet/scriptfleet/pkg/fleettest/redistest"
)

func TestSummariesOfATenantTakeNoMoreThanTheyMay(t *testing.T) {
	client := redistest.Connect(t, redistest.Start(t).Addr)
	l := New(Config{Recent: 8}, client)
	for i := range 20 {
		live(t, l, fmt.Sprint(i), 3)
		if n := client.LLen(t.Context(), "scriptfleet:recent:acme").Val(); n > 10 {
			t.Fatalf("%d summaries after %d runs", n, 3*i+3)
		}
	}
	text := client.LRange(t.Context(), "scriptfleet:recent:acme", 0, 0).Val()[0]
	if len(text) > 260 {
		t.Errorf("a summary takes %d bytes: %s", len(text), text)
	}
	if ttl := client.PTTL(t.Context(), "scriptfleet:recent:acme").Val(); ttl <= 0 {
		t.Errorf("the summaries stay for %s", ttl)
	}
}
