package simulation

import "testing"

// mechanism is one that a test switches off, to see that the simulation needs
// it.
type mechanism string

const (
	nothing          mechanism = ""
	recordFence      mechanism = "records are written by a compare of fences"
	ledgerFence      mechanism = "a result is written down by a compare of fences"
	leaseRenewal     mechanism = "leases are renewed"
	ledgerClaim      mechanism = "a run is claimed before it is worked on"
	claimRenewal     mechanism = "claims are renewed"
	heartbeat        mechanism = "deliveries in hand are extended"
	sendBeforeDelete mechanism = "what a delivery became is sent before the delivery is deleted"
	sendsAnswer      mechanism = "a send's answer is waited for, and heard"
	parking          mechanism = "what waits for a build is parked"
	atMostOnce       mechanism = "a run that is to execute at most once is not executed again"
	suspicion        mechanism = "a run that the ledger forgot may have executed"
)

// favour adds to a plan what the mechanism is there for, where that is rare.
func (p *plan) favour(off mechanism) {
	if off != recordFence || p.calm {
		return
	}
	for nth := range p.workers {
		p.events = append(p.events, event{at: p.until / 2, kind: eventStopSoon, op: "record.Put", nth: nth, last: p.until})
	}
}

// enough is in how many seeds a mechanism that is off has to be missed.
const enough = 2000

func TestSimulationFailsWithoutTheFenceOfRecords(t *testing.T)   { fails(t, recordFence, 1) }
func TestSimulationFailsWithoutTheFenceOfTheLedger(t *testing.T) { fails(t, ledgerFence, 35) }
func TestSimulationFailsWithoutRenewingLeases(t *testing.T)      { fails(t, leaseRenewal, 1) }
func TestSimulationFailsWithoutClaims(t *testing.T)              { fails(t, ledgerClaim, 1) }
func TestSimulationFailsWithoutRenewingClaims(t *testing.T)      { fails(t, claimRenewal, 1) }
func TestSimulationFailsWithoutTheHeartbeat(t *testing.T)        { fails(t, heartbeat, 1) }
func TestSimulationFailsWhereDeletesGoFirst(t *testing.T)        { fails(t, sendBeforeDelete, 1) }
func TestSimulationFailsWhereASendsAnswerIsIgnored(t *testing.T) { fails(t, sendsAnswer, 1) }
func TestSimulationFailsWithoutParking(t *testing.T)             { fails(t, parking, 1) }
func TestSimulationFailsWithoutTheAtMostOnceGuard(t *testing.T)  { fails(t, atMostOnce, 1) }
func TestSimulationFailsWithoutSuspicion(t *testing.T)           { fails(t, suspicion, 20) }

// fails simulates seeds with a mechanism switched off until a promise is broken.
// The first seed is near one that was seen to do it.
func fails(t *testing.T, off mechanism, first uint64) {
	t.Parallel()
	for seed := first; seed < first+enough; seed++ {
		if _, err := Run(t, seed, off); err != nil {
			t.Logf("seed %d: %v", seed, err)
			return
		}
	}
	t.Errorf("%d seeds hold without this: %s", enough, off)
}
