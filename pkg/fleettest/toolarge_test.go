package fleettest

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/scriptfleet/scriptfleet/pkg/run"
)

// TestResultAboveItsQueuesLimitIsCountedAsItIsPublished uses a results queue
// with a limit of 256 KiB, and a result of 400 KB: without a bucket the result
// is replaced by another, with a bucket it travels by claim check.
func TestResultAboveItsQueuesLimitIsCountedAsItIsPublished(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		env    []string
		status run.Status
	}{
		"without a bucket": {[]string{"SCRIPTFLEET_BUCKET="}, run.Failed},
		"with a bucket":    {nil, run.Succeeded},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := startStack(t)
			client := sqs.NewFromConfig(f.set.Config())
			results := f.set["AWS_ENDPOINT_URL"] + "/123456789012/scriptfleet-results"
			_, err := client.SetQueueAttributes(t.Context(), &sqs.SetQueueAttributesInput{
				QueueUrl: aws.String(results), Attributes: map[string]string{"MaximumMessageSize": "262144"},
			})
			if err != nil {
				t.Fatal(err)
			}
			f.process("dispatcher", c.env)
			f.workerWith(c.env)
			f.send(request("large", Data{Script: "def main(input):\n    return 'a' * 400_000"}))
			res := f.Await(t, "large")
			if c.status == run.Failed {
				checkError(t, res, run.Failed, run.OwnerAuthor, "ResultTooLarge")
			} else if res.Data.Status != c.status || len(res.Data.Output) != 400_002 {
				t.Errorf("the result is %.400s", res.Body)
			}
			f.checkOnce(t, 1)

			got := command(t, f.env(c.env...), "", "check", "--idle", "--json")
			var books struct {
				Results  int
				Finished map[run.Status]int
			}
			if err := json.Unmarshal([]byte(got.Stdout), &books); err != nil || got.Code != 0 {
				t.Fatalf("check exits %d: %s%s", got.Code, got.Stdout, got.Stderr)
			}
			if books.Results != 1 || books.Finished[c.status] != 1 {
				t.Errorf("the books count %s", got.Stdout)
			}
			got = command(t, f.env(c.env...), "", "explain", "large", "--tenant", "acme", "--source", Story)
			if got.Code != 0 || !strings.Contains(got.Stdout, "published") || !strings.Contains(got.Stdout, string(c.status)) {
				t.Errorf("explain exits %d: %s%s", got.Code, got.Stdout, got.Stderr)
			}
		})
	}
}
