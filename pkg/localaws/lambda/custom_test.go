package lambda

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/lambda/types"
)

func TestACustomRuntimeNeedsALayerWithItsInterpreter(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	in := b.spec("own", "def main(e, c): return 1")
	in.Runtime = types.RuntimeProvidedal2023
	if _, err := b.client.CreateFunction(t.Context(), in); err != nil {
		t.Fatal(err)
	}
	b.await("own", types.StateFailed)
	if f := b.server.functions["own"]; f.StateReason != "a function on provided.al2023 needs a layer with bin/python3 here (file does not exist)" {
		t.Errorf("the reason is %s", f.StateReason)
	}
}
