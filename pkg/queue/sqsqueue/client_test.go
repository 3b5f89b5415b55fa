package sqsqueue_test

import (
	"os"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/scriptfleet/scriptfleet/pkg/fleettest/mototest"
	"github.com/scriptfleet/scriptfleet/pkg/queue/sqsqueue"
)

func TestMain(m *testing.M) {
	os.Exit(mototest.Run(m))
}

// clientOf returns a client of an endpoint with the settings of production.
func clientOf(url string) *sqs.Client {
	cfg := mototest.Config()
	cfg.BaseEndpoint = aws.String(url)
	return sqsqueue.NewClient(cfg)
}
