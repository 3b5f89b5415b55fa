package dispatcher

import (
	"go.uber.org/zap"

	"github.com/scriptfleet/scriptfleet/pkg/breaker"
	"github.com/scriptfleet/scriptfleet/pkg/lasting"
)

// outage is that of a service: it pauses what needs the service, and logs when it
// begins and when it is over.
type outage struct {
	breaker.Breaker
	fault *lasting.Fault
}

func newOutage(log *zap.Logger, begins, ends string) *outage {
	return &outage{fault: lasting.New(log, begins, ends)}
}

// met notes a call that failed because of it.
func (o *outage) met(err error) {
	o.Open(err)
	o.fault.Met(err)
}

// over notes a call that succeeded.
func (o *outage) over() {
	o.Close()
	o.fault.Over()
}
