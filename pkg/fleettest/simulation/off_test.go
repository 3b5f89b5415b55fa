package simulation

import "testing"

// mechanism is a mechanism that a test switches off, to show that the
// simulation then fails.
type mechanism string

const (
	nothing          mechanism = ""
	recordFence      mechanism = "records are written by a compare of fences"
	ledgerFence      mechanism = "a result is written down by a compare of fences"
	leaseRenewal     mechanism = "leases are renewed"
	ledgerClaim      mechanism = "a run is claimed before it is worked on"
	claimBegins      mechanism = "a claim that begins a run counts its attempt"
	claimRenewal     mechanism = "claims are renewed"
	heartbeat        mechanism = "deliveries in hand are extended"
	sendBeforeDelete mechanism = "what a delivery became is sent before the delivery is deleted"
	sendsAnswer      mechanism = "a send's answer is waited for, and heard"
	parking          mechanism = "what waits for a build is parked"
	atMostOnce       mechanism = "a run that is to execute at most once is not executed again"
	suspicion        mechanism = "a run that the ledger forgot may have executed"
	runnerHash       mechanism = "an env runner checks the script's hash"
	takingBack       mechanism = "the attempt of an invocation that was refused is taken back"
	runnerFlight     mechanism = "one worker at a time builds an env runner"
	buildAfter       mechanism = "a script's function is not built before an env runner has executed enough runs"
)

// favour makes the events that need the mechanism more frequent in a plan.
func (p *plan) favour(off mechanism) {
	if off != recordFence || p.calm {
		return
	}
	for nth := range p.workers {
		p.events = append(p.events, event{at: p.until / 2, kind: eventStopSoon, op: "record.Put", nth: nth, last: p.until})
	}
}

// enough is the number of seeds within which a switched-off mechanism must be
// noticed.
const enough = 2000

func TestSimulationFailsWithoutTheFenceOfRecords(t *testing.T)   { fails(t, recordFence, 1) }
func TestSimulationFailsWithoutTheFenceOfTheLedger(t *testing.T) { fails(t, ledgerFence, 56) }
func TestSimulationFailsWithoutRenewingLeases(t *testing.T)      { fails(t, leaseRenewal, 1) }
func TestSimulationFailsWithoutClaims(t *testing.T)              { fails(t, ledgerClaim, 1) }
func TestSimulationFailsWhereAClaimCountsNoAttempt(t *testing.T) { fails(t, claimBegins, 1) }
func TestSimulationFailsWithoutRenewingClaims(t *testing.T)      { fails(t, claimRenewal, 1) }
func TestSimulationFailsWithoutTheHeartbeat(t *testing.T)        { fails(t, heartbeat, 1) }
func TestSimulationFailsWhereDeletesGoFirst(t *testing.T)        { fails(t, sendBeforeDelete, 1) }
func TestSimulationFailsWhereASendsAnswerIsIgnored(t *testing.T) { fails(t, sendsAnswer, 1) }
func TestSimulationFailsWithoutParking(t *testing.T)             { fails(t, parking, 1) }
func TestSimulationFailsWithoutTheAtMostOnceGuard(t *testing.T)  { fails(t, atMostOnce, 1) }
func TestSimulationFailsWithoutSuspicion(t *testing.T)           { fails(t, suspicion, 85) }
func TestSimulationFailsWhereARunnerTakesAnyHash(t *testing.T)   { fails(t, runnerHash, 1) }
func TestSimulationFailsWhereNoAttemptIsTakenBack(t *testing.T)  { fails(t, takingBack, 1) }
func TestSimulationFailsWhereARunnerIsBuiltAtOnce(t *testing.T)  { fails(t, runnerFlight, 1) }
func TestSimulationFailsWhereAFunctionIsBuiltEarly(t *testing.T) { fails(t, buildAfter, 1) }

// fails runs seeds with a mechanism switched off until a promise breaks. The
// first seed is close to one that is known to fail.
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
