package layer

import (
	"testing"

	"go.uber.org/goleak"

	"github.com/scriptfleet/scriptfleet/pkg/sandbox"
)

func TestMain(m *testing.M) {
	sandbox.Main()
	goleak.VerifyTestMain(m)
}
