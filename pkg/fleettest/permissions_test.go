package fleettest

import (
	"fmt"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/scriptfleet/scriptfleet/pkg/fleettest/permissions"
	"github.com/scriptfleet/scriptfleet/pkg/fleettest/process"
	"github.com/scriptfleet/scriptfleet/pkg/queue"
	"github.com/scriptfleet/scriptfleet/pkg/queue/sqsqueue"
)

// The dispatcher and the worker do what they can do: a build with a layer, a
// large input and a large output, a run with a credential, a refused request,
// a dead letter of each of them, and a drain with runs in hand.
func TestProcessesMayDoWhatTheyCallAndNoMore(t *testing.T) {
	t.Parallel()
	f := launch(t, shipped, "--no-fleet", "--partitions", "2").withMailbox()
	endpoint := f.set["AWS_ENDPOINT_URL"]
	ofDispatcher, ofWorker := permissions.Record(t, endpoint), permissions.Record(t, endpoint)
	f.set["AWS_ENDPOINT_URL"] = ofDispatcher.URL
	dispatcher := f.dispatcher()
	f.set["AWS_ENDPOINT_URL"] = ofWorker.URL
	worker := f.worker("--concurrency", "1")
	f.set["AWS_ENDPOINT_URL"] = endpoint

	const slow = "import time\ndef main(input):\n    time.sleep(2)"
	f.send("nobody's",
		request("layer", Data{Script: "import humanize\ndef main(input):\n    return 1", Requirements: "humanize==4.12.3"}),
		request("large", Data{Script: "def main(input):\n    return input['text'] * 2", Input: map[string]string{"text": strings.Repeat("x", 1_500_000)}}),
		request("refused", Data{Script: "x", Timeout: 61}),
		request("slow", Data{Script: slow}),
	)
	f.toPartition(t, "nobody's either")
	for _, id := range []string{"layer", "large", "refused", "slow"} {
		f.Await(t, id)
	}
	eventually(t, "the two dead letters do not come", func() bool {
		return f.depth(t, "scriptfleet-requests-dlq").Total() == 1 && f.depth(t, "scriptfleet-partition-dlq").Total() == 1
	})
	for i := range 6 {
		f.send(request(fmt.Sprint("waits-", i), Data{Script: slow}))
	}
	eventually(t, "the worker takes no runs in hand", func() bool {
		return f.depth(t, "scriptfleet-partition-0").InFlight+f.depth(t, "scriptfleet-partition-1").InFlight > 1 // one executes, and one waits
	})
	for _, p := range []*process.Process{worker, dispatcher} {
		p.Terminate()
		p.AwaitStop()
	}

	template := permissions.ReadTemplate(t, "../../deploy/cloudformation.yaml")
	dispatch, work := template.Allows(t, "DispatcherRole"), append(template.Allows(t, "WorkerPolicy"), template.Allows(t, "TenantRole")...)
	permissions.Enough(t, ofDispatcher.Calls(), dispatch)
	permissions.NoMore(t, dispatch, ofDispatcher.Calls(), map[string]string{
		"s3:ListBucket":               "S3 then answers NoSuchKey for an object that is missing",
		"sqs:ChangeMessageVisibility": "a request that cannot be sent on is put back",
	})
	permissions.Enough(t, ofWorker.Calls(), work)
	permissions.NoMore(t, work, ofWorker.Calls(), map[string]string{
		"s3:ListBucket":            "S3 then answers NoSuchKey for an object that is missing",
		"lambda:TagResource":       "CreateFunction with tags needs it",
		"lambda:GetLayerVersion":   "CreateFunction reads its layers with the caller's permissions",
		"lambda:ListLayerVersions": "a layer is looked for only where another worker has begun its build",
		"iam:PassRole":             "CreateFunction hands the function its role",
		"lambda:DeleteFunction":    "only a function that Lambda failed to make is deleted",
	})
}

func (f *fleet) queue(t *testing.T, name string) queue.Queue {
	t.Helper()
	q, err := sqsqueue.Open(t.Context(), sqs.NewFromConfig(f.set.Config()), name)
	if err != nil {
		t.Fatal(err)
	}
	return q
}

func (f *fleet) toPartition(t *testing.T, body string) {
	t.Helper()
	for _, err := range f.queue(t, "scriptfleet-partition-0").Send(t.Context(), []queue.Message{{Body: []byte(body)}}) {
		if err != nil {
			t.Fatal(err)
		}
	}
}

func (f *fleet) depth(t *testing.T, name string) queue.Depth {
	t.Helper()
	d, err := f.queue(t, name).Depth(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return d
}
