package simulation

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
