package fairness

import (
	"fmt"
	"strings"
	"testing"

	"github.com/scriptfleet/scriptfleet/pkg/fleettest/figures"
)

// record hands a load's costs to make bench. The counts of virtual time repeat
// from run to run; commands are known where Redis counts them.
func (c spent) record(t *testing.T, l load) {
	if l.tenants == 1 {
		return
	}
	name := "burst"
	if l.rate > 0 {
		name = fmt.Sprint(l.rate)
	}
	if c.commandsKnown {
		figures.Record(t, "redis.commands."+name, c.each(c.commands))
		return
	}
	figures.Record(t, "sqs."+name, c.each(int64(sum(c.requests))))
	figures.Record(t, "redis."+name, c.each(c.trips))
	figures.Record(t, "bounces."+name, c.bounces())
}

// record hands a line's effect on quiet tenants to make bench: their p99 beside
// the flood over their p99 before it.
func (l line) record(t *testing.T, m measured) {
	if l.set == nil {
		figures.Record(t, "quiet."+strings.ReplaceAll(l.scenario.name, " ", "-"), float64(m.flooded.percentile(0.99))/float64(m.before.percentile(0.99)))
	}
}
