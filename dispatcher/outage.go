package dispatcher

import (
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/scriptfleet/scriptfleet/pkg/breaker"
	"github.com/scriptfleet/scriptfleet/pkg/lasting"
)

// outage is the outage of a service: it pauses what needs the service, and logs
// its beginning and its end.
type outage struct {
	breaker.Breaker
	fault  *lasting.Fault
	latest atomic.Int64 // when a call failed last, in Unix nanoseconds
}

func newOutage(log *zap.Logger, begins, ends string) *outage {
	return &outage{fault: lasting.New(log, begins, ends)}
}

// met records a call that failed because of the outage.
func (o *outage) met(err error) {
	o.latest.Store(time.Now().UnixNano())
	o.Open(err)
	o.fault.Met(err)
}

// within tells whether the outage lasts and a call failed in that time.
func (o *outage) within(d time.Duration) bool {
	return o.Reason() != nil && time.Since(time.Unix(0, o.latest.Load())) < d
}

// over records a call that succeeded.
func (o *outage) over() {
	o.Close()
	o.fault.Over()
}
