package fleettest

import (
	"fmt"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/scriptfleet/scriptfleet/pkg/fleettest/mototest"
	"github.com/scriptfleet/scriptfleet/pkg/run"
)

func TestTheFleetRunsOnAnSQSThatOthersWrote(t *testing.T) {
	t.Parallel()
	f := startStack(t)
	f.set["AWS_ENDPOINT_URL_SQS"] = mototest.URL
	f.dispatcher("--create-queues")
	f.worker("--create-queues")
	box := f.openMailbox(func(o *sqs.Options) { o.BaseEndpoint = &mototest.URL })

	const n = 20
	for i := range n {
		box.Send(t, Request(fmt.Sprint("tenant-", i%3), fmt.Sprint("run-", i), Data{
			Script: "def main(input):\n    return [input['i'], '𝄞 <&>']", Input: map[string]int{"i": i},
		}))
	}
	box.Send(t,
		request("large", Data{Script: "def main(input):\n    return input['text'] * 2", Input: map[string]string{"text": strings.Repeat("x", 1_500_000)}}),
		request("refused", Data{Script: "x", Timeout: 61}),
		"run my script, please",
	)
	for i := range n {
		res := box.Await(t, fmt.Sprint("run-", i))
		if want := fmt.Sprintf(`[%d, "𝄞 <&>"]`, i); string(res.Data.Output) != want {
			t.Errorf("the result is not %s: %s", want, res.Body)
		}
	}
	if res := box.Await(t, "large"); res.Data.Status != run.Succeeded || len(res.Data.Output) != 3_000_002 {
		t.Errorf("the large run is %s with an output of %d bytes", res.Data.Status, len(res.Data.Output))
	}
	checkError(t, box.Await(t, "refused"), run.Rejected, run.OwnerAuthor, run.InvalidTimeout)
	eventually(t, "the request that is nobody's is not on the dead-letter queue", func() bool {
		depth, err := box.Dead.Depth(t.Context())
		return err == nil && depth.Total() == 1
	})
	if stack := f.Mailbox.Subjects(); len(stack) > 0 {
		t.Errorf("the embedded SQS has results of %q", stack)
	}
}
