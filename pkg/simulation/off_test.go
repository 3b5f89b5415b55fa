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

// enough is in how many seeds a mechanism that is off has to be missed.
const enough = 2000

func TestSimulationFailsWithoutTheFenceOfRecords(t *testing.T)   { fails(t, recordFence) }
func TestSimulationFailsWithoutTheFenceOfTheLedger(t *testing.T) { fails(t, ledgerFence) }
func TestSimulationFailsWithoutRenewingLeases(t *testing.T)      { fails(t, leaseRenewal) }
func TestSimulationFailsWithoutClaims(t *testing.T)              { fails(t, ledgerClaim) }
func TestSimulationFailsWithoutRenewingClaims(t *testing.T)      { fails(t, claimRenewal) }
func TestSimulationFailsWithoutTheHeartbeat(t *testing.T)        { fails(t, heartbeat) }
func TestSimulationFailsWhereDeletesGoFirst(t *testing.T)        { fails(t, sendBeforeDelete) }
func TestSimulationFailsWhereASendsAnswerIsIgnored(t *testing.T) { fails(t, sendsAnswer) }
func TestSimulationFailsWithoutParking(t *testing.T)             { fails(t, parking) }
func TestSimulationFailsWithoutTheAtMostOnceGuard(t *testing.T)  { fails(t, atMostOnce) }
func TestSimulationFailsWithoutSuspicion(t *testing.T)           { fails(t, suspicion) }

// fails simulates seeds with a mechanism switched off until a promise is broken.
func fails(t *testing.T, off mechanism) {
	t.Parallel()
	for seed := range uint64(enough) {
		if _, err := Run(t, seed+1, off); err != nil {
			t.Logf("seed %d: %v", seed+1, err)
			return
		}
	}
	t.Errorf("%d seeds hold without this: %s", enough, off)
}
