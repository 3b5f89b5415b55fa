package s3store_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/scriptfleet/scriptfleet/pkg/claimcheck"
	"github.com/scriptfleet/scriptfleet/pkg/claimcheck/s3store"
	"github.com/scriptfleet/scriptfleet/pkg/claimcheck/storetest"
	"github.com/scriptfleet/scriptfleet/pkg/fleettest/mototest"
	"github.com/scriptfleet/scriptfleet/pkg/fleettest/program"
	"github.com/scriptfleet/scriptfleet/pkg/fleettest/stack"
	"github.com/scriptfleet/scriptfleet/pkg/localaws"
	"github.com/scriptfleet/scriptfleet/pkg/queue"
	"github.com/scriptfleet/scriptfleet/pkg/queue/sqsqueue"
)

func TestMain(m *testing.M) {
	os.Exit(mototest.Run(m))
}

// bucketOf makes a bucket and returns its store.
func bucketOf(t *testing.T, name string) *s3store.Store {
	t.Helper()
	client := s3.NewFromConfig(mototest.Config(), func(o *s3.Options) { o.UsePathStyle = true })
	if _, err := client.CreateBucket(t.Context(), &s3.CreateBucketInput{Bucket: &name}); err != nil {
		t.Fatal(err)
	}
	return s3store.New(client, name)
}

// queueOf makes a queue, and returns its URL too.
func queueOf(t *testing.T, name string) (queue.Queue, string) {
	t.Helper()
	client := sqsqueue.NewClient(mototest.Config())
	made, err := client.CreateQueue(t.Context(), &sqs.CreateQueueInput{QueueName: &name})
	if err != nil {
		t.Fatal(err)
	}
	q, err := sqsqueue.Open(t.Context(), client, name)
	if err != nil {
		t.Fatal(err)
	}
	return q, aws.ToString(made.QueueUrl)
}

// extended runs the official extended client.
func extended(t *testing.T, args ...string) []byte {
	t.Helper()
	python, err := program.Tool("python")
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), python, append([]string{filepath.Join("testdata", "extended.py")}, args...)...)
	var problems bytes.Buffer
	cmd.Stderr = &problems
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("official client: %v\n%s", err, problems.Bytes())
	}
	return out
}

func TestKeepsTheContractOnMoto(t *testing.T) { storetest.Run(t, bucketOf(t, "contract")) }

func TestKeepsTheContractOnTheEmbeddedStack(t *testing.T) {
	client := s3.NewFromConfig(stack.Start(t, localaws.Config{}).AWSConfig(), func(o *s3.Options) { o.UsePathStyle = true })
	name := "contract"
	if _, err := client.CreateBucket(t.Context(), &s3.CreateBucketInput{Bucket: &name}); err != nil {
		t.Fatal(err)
	}
	storetest.Run(t, s3store.New(client, name))
}

func TestAMissingBucketIsNoProblemOfADelivery(t *testing.T) {
	client := s3.NewFromConfig(mototest.Config(), func(o *s3.Options) { o.UsePathStyle = true })
	_, err := s3store.New(client, "nowhere").Get(t.Context(), "key", 100)
	if err == nil || errors.Is(err, claimcheck.ErrNoObject) {
		t.Errorf("get = %v: what an operator has to mend must not reject deliveries", err)
	}
}

func TestTheOfficialClientReadsWhatWeSend(t *testing.T) {
	store := bucketOf(t, "ours")
	plain, url := queueOf(t, "ours")
	q := claimcheck.Wrap(plain, store, claimcheck.Config{Prefix: "results"})
	body := bytes.Repeat([]byte("é"), 1<<20)
	for _, err := range q.Send(t.Context(), []queue.Message{{Body: body, Group: "acme", Attributes: map[string]string{"status": "succeeded"}}}) {
		if err != nil {
			t.Fatal(err)
		}
	}
	var got struct {
		Bytes      int
		SHA256     string
		Attributes map[string]string
	}
	if err := json.Unmarshal(extended(t, "receive", url, store.Bucket()), &got); err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(body)
	if got.Bytes != len(body) || got.SHA256 != hex.EncodeToString(sum[:]) {
		t.Errorf("the official client received %d bytes, want the %d that were sent", got.Bytes, len(body))
	}
	if len(got.Attributes) != 1 || got.Attributes["status"] != "succeeded" {
		t.Errorf("the official client received attributes %v", got.Attributes)
	}
}

func TestWeReadWhatTheOfficialClientSends(t *testing.T) {
	store := bucketOf(t, "theirs")
	plain, url := queueOf(t, "theirs")
	extended(t, "send", url, store.Bucket(), "acme", "2097152")
	q := claimcheck.Wrap(plain, store, claimcheck.Config{Foreign: true})
	ds, err := q.Receive(t.Context(), queue.Poll{Max: 10, Wait: 10 * time.Second, Visibility: time.Minute})
	if err != nil || len(ds) != 1 {
		t.Fatalf("receive = %d, %v", len(ds), err)
	}
	d := ds[0]
	if err := claimcheck.Problem(d); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(d.Body, bytes.Repeat([]byte("é"), 1<<20)) || d.Group != "acme" || len(d.Attributes) != 0 {
		t.Errorf("received %d bytes, group %q, attributes %v", len(d.Body), d.Group, d.Attributes)
	}
	if err := q.Delete(t.Context(), ds)[0]; err != nil {
		t.Error(err)
	}
}
