package builds_test

import (
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/scriptfleet/scriptfleet/pkg/run"
)

// onOwn is the script on a custom runtime.
func onOwn(s run.Script) run.Script {
	s.Runtime = run.Runtime{Name: "own", Lambda: run.Custom, Zip: "digest"}
	s.RuntimeHash = "interpreter"
	return s
}

func TestACustomRuntimeIsALayerOfItsOwn(t *testing.T) {
	inFleet(t, 2, func(t *testing.T, fl *fleet) {
		bare, withEnv := onOwn(plain), onOwn(numbers)
		var wg sync.WaitGroup
		for _, w := range fl.workers {
			for _, s := range []run.Script{bare, withEnv} {
				wg.Go(func() { _, _ = w.Ensure(t.Context(), s, 0) })
			}
		}
		wg.Wait()
		layersOf := func(s run.Script) []string {
			return fl.lambda.functions[ensure(t, fl.workers[0], s).Function].spec.LayerARNs
		}
		runtime, both := layersOf(bare), layersOf(withEnv)
		if len(runtime) != 1 || !strings.Contains(runtime[0], "-layer-interpreter:") {
			t.Errorf("without requirements its layers are %q", runtime)
		}
		if len(both) != 2 || both[0] != runtime[0] || !strings.Contains(both[1], "-layer-numpy:") {
			t.Errorf("with requirements its layers are %q", both)
		}
		if n := fl.layers.count(bare.Interpreter()); n != 1 {
			t.Errorf("the interpreter's layer was built %d times", n)
		}
	})
}

func TestACustomRuntimesLayerThatIsGoneIsMadeAgain(t *testing.T) {
	inFleet(t, 1, func(t *testing.T, fl *fleet) {
		first, second := onOwn(numbers), onOwn(script("acme", "second", "numpy"))
		ensure(t, fl.workers[0], first)
		delete(fl.lambda.versions, run.LayerName("scriptfleet", first.RuntimeHash))
		made := fl.lambda.functions[ensure(t, fl.workers[0], second).Function].spec.LayerARNs
		if n := fl.layers.count(first.Interpreter()); n != 2 || len(made) != 2 || !slices.ContainsFunc(made, func(arn string) bool { return strings.Contains(arn, "interpreter") }) {
			t.Errorf("the interpreter's layer was built %d times, the function has %q", n, made)
		}
		if n := fl.layers.count(first); n != 1 {
			t.Errorf("the layer that was there was built %d times", n)
		}
	})
}

func TestACustomRuntimeThatCannotBeFetchedFailsTheBuild(t *testing.T) {
	inFleet(t, 1, func(t *testing.T, fl *fleet) {
		fl.layers.failWith(func(env run.EnvHash) error {
			if env == "interpreter" {
				return &run.Error{Owner: run.OwnerOperator, Type: "RuntimeUnavailable", Message: "add it again"}
			}
			return nil
		})
		if failed := fails(t, fl.workers[0], onOwn(numbers)); failed.Reason.Type != "RuntimeUnavailable" {
			t.Errorf("the reason is %+v", failed.Reason)
		}
	})
}
