package main

import (
	"os"
	"testing"

	"github.com/scriptfleet/scriptfleet/pkg/sandbox"
)

// The tests start sandboxes by their own binary.
func TestMain(m *testing.M) {
	sandbox.Main()
	os.Exit(m.Run())
}
