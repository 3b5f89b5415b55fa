package worker

import (
	"go.uber.org/zap"

	"github.com/scriptfleet/scriptfleet/pkg/lasting"
)

// faults are those that meet every run alike while they last. What a run meets by
// itself is told in the line that settles it.
type faults struct {
	slots   *lasting.Fault // the tenants' slots
	claims  *lasting.Fault // renewed or released
	results *lasting.Fault // published
	extends *lasting.Fault // of deliveries, and put-backs
}

func newFaults(log *zap.Logger) faults {
	return faults{
		slots:   lasting.New(log, "the tenants' slots are out of reach; running without them", "the tenants' slots are in reach again"),
		claims:  lasting.New(log, "cannot renew or release claims; they run out by themselves", "claims are renewed and released again"),
		results: lasting.New(log, "cannot publish a result; trying again", "results are published again"),
		extends: lasting.New(log, "cannot extend a delivery; it comes again by itself", "deliveries are extended again"),
	}
}
