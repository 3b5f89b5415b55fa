package function

import (
	"context"
	"errors"

	"github.com/scriptfleet/scriptfleet/pkg/interpreter"
	"github.com/scriptfleet/scriptfleet/pkg/run"
)

// Packager makes the zips of functions.
type Packager struct {
	// Interpreters check a script's syntax before anything is built. Where the
	// runtime's own is missing, the check is left to the function's first
	// import.
	Interpreters interpreter.Set
}

// Pack returns the zip of a script's function: the same bytes for the same
// script. It fails with a *run.Error where the script is at fault.
func (p Packager) Pack(ctx context.Context, s run.Script) ([]byte, error) {
	return nil, errors.New("pack: not written yet")
}
