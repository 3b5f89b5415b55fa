package builds_test

import (
	"testing"

	"github.com/scriptfleet/scriptfleet/pkg/function"
)

func TestTheFunctionIsMadeAsTheScriptSays(t *testing.T) {
	inFleet(t, 1, func(t *testing.T, fl *fleet) {
		s := plain
		s.MemoryMB, s.Arch, s.TimeoutSeconds = 1024, "arm64", 7
		spec := fl.lambda.functions[ensure(t, fl.workers[0], s).Function].spec
		if spec.MemoryMB != 1024 || spec.Arch != "arm64" || spec.TimeoutSeconds != 7 || spec.Tags[function.TagTenant] != "acme" {
			t.Errorf("made as %+v", spec)
		}
	})
}
