//go:build linux

package sandbox

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/scriptfleet/scriptfleet/pkg/sandbox/inside"
)

// Complete gives a process that was started with Spec.Open its remaining binds,
// which must be read-only, and its limit of memory. When it returns, the host's
// root is unmounted and all walls stand. It must be called once; after an error
// the process must be killed.
func (p *Process) Complete(binds []Bind, memoryBytes int64) error {
	if slices.ContainsFunc(binds, func(b Bind) bool { return b.Writable }) {
		return errors.New("complete sandbox: a writable bind has to be there from the start, since it decides the uid")
	}
	data, err := p.limitMemory(memoryBytes)
	if err != nil {
		return err
	}
	text, err := json.Marshal(inside.Rest{Binds: wire(Spec{Binds: binds}.withDefaults().Binds), Data: data})
	if err != nil || len(text) >= inside.MaxRest {
		return fmt.Errorf("complete sandbox: %d bytes of binds are too many: %w", len(text), err)
	}
	if _, err := p.control.Write(append([]byte{inside.CmdRest}, text...)); err != nil {
		return ErrGone
	}
	select {
	case err := <-p.completed:
		if err == nil {
			p.beginWarden()
		}
		return err
	case <-p.gone:
		return ErrGone
	}
}
