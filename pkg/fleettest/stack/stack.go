// Package stack starts an embedded stack within a test's process.
package stack

import (
	"context"
	"testing"
	"time"

	"github.com/scriptfleet/scriptfleet/pkg/localaws"
)

// Start starts a stack that ends with the test.
func Start(t testing.TB, cfg localaws.Config) *localaws.Stack {
	t.Helper()
	s, err := localaws.Start(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		if err := s.Close(ctx); err != nil {
			t.Errorf("close the stack: %v", err)
		}
	})
	return s
}
