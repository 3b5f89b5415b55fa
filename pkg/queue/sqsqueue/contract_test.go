package sqsqueue_test

import (
	"testing"

	"github.com/scriptfleet/scriptfleet/pkg/fleettest/mototest"
	"github.com/scriptfleet/scriptfleet/pkg/fleettest/sqstest"
	"github.com/scriptfleet/scriptfleet/pkg/fleettest/stack"
	"github.com/scriptfleet/scriptfleet/pkg/localaws"
	"github.com/scriptfleet/scriptfleet/pkg/queue/queuetest"
	"github.com/scriptfleet/scriptfleet/pkg/queue/sqsqueue"
)

func TestKeepsTheContractOnMoto(t *testing.T) {
	t.Parallel()
	sqstest.Run(t, clientOf(mototest.URL),
		queuetest.Exception{
			Claim: "ExtendOfADeliveryThatWasLostIsErrGone",
			Reason: "moto takes every handle that a message ever had. The fleet then learns late that a " +
				"delivery is lost; the ledger's claim is what keeps the run from a second owner.",
		},
		queuetest.Exception{
			Claim: "ReceiversNeverShareADelivery",
			Reason: "moto's threads look for visible messages without a lock, so two polls of one instant may " +
				"share one, as SQS too may deliver twice now and then.",
		},
		queuetest.Exception{
			Claim:  "TheTraceHeaderTravels",
			Reason: "moto drops the system attributes of messages that are sent in a batch.",
		})
}

func TestKeepsTheContractOnTheEmbeddedStack(t *testing.T) {
	t.Parallel()
	sqstest.Run(t, sqsqueue.NewClient(stack.Start(t, localaws.Config{}).AWSConfig()))
}
