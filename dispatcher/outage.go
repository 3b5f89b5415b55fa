package dispatcher

import (
	"go.uber.org/zap"

	"github.com/scriptfleet/scriptfleet/pkg/breaker"
	"github.com/scriptfleet/scriptfleet/pkg/lasting"
)

// outage is the outage of a service: it pauses what needs the service, and logs
// its beginning and its end.
type outage struct {
	breaker.Breaker
	fault *lasting.Fault
}

func newOutage(log *zap.Logger, begins, ends string) *outage {
	return &outage{fault: lasting.New(log, begins, ends)}
}

// met records a call that failed because of the outage.
func (o *outage) met(err error) {
	o.Open(err)
	o.fault.Met(err)
}

// over records a call that succeeded.
func (o *outage) over() {
	o.Close()
	o.fault.Over()
}
