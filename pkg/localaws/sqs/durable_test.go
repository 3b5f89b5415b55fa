package sqs_test

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awssqs "github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"go.etcd.io/bbolt"

	"github.com/scriptfleet/scriptfleet/pkg/localaws/sqs"
)

// childDB is the variable with the database's path for the child process that
// TestKillLosesNothing starts and kills.
const childDB = "SQS_TEST_CHILD_DB"

func opened(t testing.TB, path string) *bbolt.DB {
	t.Helper()
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{Timeout: 5 * time.Second, NoFreelistSync: true})
	if err != nil {
		t.Fatal(err)
	}
	return db
}

// TestChildUnderLoad is the process that is killed, not a test. It prints each
// accepted and each deleted message after the answer.
func TestChildUnderLoad(t *testing.T) {
	path := os.Getenv(childDB)
	if path == "" {
		return
	}
	_, client := served(t, sqs.Config{DB: opened(t, path)})
	url := created(t, client, "q", nil)
	var print sync.Mutex
	say := func(verb, id string) {
		print.Lock()
		defer print.Unlock()
		fmt.Println("child", verb, id)
	}
	for worker := range 8 {
		go func() {
			for n := 0; ; n++ {
				body := fmt.Sprint(os.Getpid(), "-", worker, "-", n)
				if _, err := client.SendMessage(t.Context(), &awssqs.SendMessageInput{QueueUrl: url, MessageBody: &body}); err == nil {
					say("accepted", body)
				}
				if n%3 == 0 {
					deleteOne(t.Context(), client, url, say)
				}
			}
		}()
	}
	<-t.Context().Done() // until the parent kills this process
}

func deleteOne(ctx context.Context, client *awssqs.Client, url *string, say func(verb, id string)) {
	got, err := client.ReceiveMessage(ctx, &awssqs.ReceiveMessageInput{QueueUrl: url, VisibilityTimeout: 600})
	if err != nil || len(got.Messages) == 0 {
		return
	}
	m := got.Messages[0]
	say("deleting", *m.Body) // from here on it may be deleted
	if _, err := client.DeleteMessage(ctx, &awssqs.DeleteMessageInput{QueueUrl: url, ReceiptHandle: m.ReceiptHandle}); err == nil {
		say("deleted", *m.Body)
	}
}

func TestKillLosesNoAcceptedMessageAndBringsNoDeletedOneBack(t *testing.T) {
	path := filepath.Join(t.TempDir(), "stack.db")
	said := map[string]map[string]bool{"accepted": {}, "deleting": {}, "deleted": {}}
	for life := range 3 {
		runAndKill(t, path, 100*(life+1), said)
	}
	db := opened(t, path)
	defer db.Close()
	_, client := served(t, sqs.Config{DB: db})
	found := drain(t, client, created(t, client, "q", nil))
	lost, back := 0, 0
	for body := range said["accepted"] {
		if found[body] == 0 && !said["deleting"][body] {
			lost++
		}
	}
	for body := range said["deleted"] {
		back += found[body]
	}
	t.Logf("accepted %d, deleted %d, found %d", len(said["accepted"]), len(said["deleted"]), len(found))
	if lost > 0 || back > 0 || len(said["deleted"]) == 0 {
		t.Errorf("lost %d accepted messages, %d deleted ones came back", lost, back)
	}
}

// runAndKill lets a child send and delete until it has printed n more lines,
// and then kills it.
func runAndKill(t *testing.T, path string, n int, said map[string]map[string]bool) {
	t.Helper()
	child := exec.Command(os.Args[0], "-test.run=^TestChildUnderLoad$")
	child.Env = append(os.Environ(), childDB+"="+path)
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	for heard := 0; lines.Scan(); {
		words := strings.Fields(lines.Text())
		if len(words) != 3 || words[0] != "child" {
			continue
		}
		said[words[1]][words[2]] = true
		if heard++; heard == n {
			if err := child.Process.Kill(); err != nil {
				t.Fatal(err)
			}
		}
	}
	_ = child.Wait() // it was killed
}

func drain(t *testing.T, client *awssqs.Client, url *string) map[string]int {
	t.Helper()
	found := map[string]int{}
	for {
		got, err := client.ReceiveMessage(t.Context(), &awssqs.ReceiveMessageInput{QueueUrl: url, MaxNumberOfMessages: 10, VisibilityTimeout: 600})
		if err != nil {
			t.Fatal(err)
		}
		if len(got.Messages) == 0 {
			return found
		}
		for _, m := range got.Messages {
			found[*m.Body]++
		}
	}
}

func TestARestartKeepsQueuesAndMakesInFlightVisible(t *testing.T) {
	path := filepath.Join(t.TempDir(), "stack.db")
	ctx := t.Context()
	var old *string
	t.Run("before", func(t *testing.T) {
		db := opened(t, path)
		t.Cleanup(func() { db.Close() })
		_, client := served(t, sqs.Config{DB: db})
		url := created(t, client, "q", map[string]string{"VisibilityTimeout": "77"})
		for _, m := range []awssqs.SendMessageInput{
			{MessageBody: aws.String("in flight"), MessageGroupId: aws.String("acme"), MessageAttributes: map[string]types.MessageAttributeValue{
				"n": {DataType: aws.String("Binary"), BinaryValue: []byte{0, 255}}}},
			{MessageBody: aws.String("delayed"), DelaySeconds: 900},
		} {
			m.QueueUrl = url
			if _, err := client.SendMessage(ctx, &m); err != nil {
				t.Fatal(err)
			}
		}
		got, err := client.ReceiveMessage(ctx, &awssqs.ReceiveMessageInput{QueueUrl: url})
		if err != nil || len(got.Messages) != 1 {
			t.Fatal(got, err)
		}
		old = got.Messages[0].ReceiptHandle
	})
	db := opened(t, path)
	t.Cleanup(func() { db.Close() })
	server, client := served(t, sqs.Config{DB: db})
	if s := server.Stats()[0]; s.Visible != 1 || s.InFlight != 0 || s.Delayed != 1 {
		t.Errorf("after the restart: %+v", s)
	}
	url := created(t, client, "q", map[string]string{"VisibilityTimeout": "77"})
	got, err := client.ReceiveMessage(ctx, &awssqs.ReceiveMessageInput{QueueUrl: url, MessageAttributeNames: []string{"All"},
		MessageSystemAttributeNames: []types.MessageSystemAttributeName{"All"}})
	if err != nil || len(got.Messages) != 1 {
		t.Fatal(got, err)
	}
	m := got.Messages[0]
	if *m.Body != "in flight" || m.Attributes["MessageGroupId"] != "acme" || m.Attributes["ApproximateReceiveCount"] != "2" ||
		string(m.MessageAttributes["n"].BinaryValue) != "\x00\xff" {
		t.Errorf("%+v", m)
	}
	if _, err := client.DeleteMessage(ctx, &awssqs.DeleteMessageInput{QueueUrl: url, ReceiptHandle: old}); kind(err) != "ReceiptHandleIsInvalid" {
		t.Error("the handle from before, after a newer receive:", err)
	}
}

func TestPurgedAndDeletedQueuesStayEmptyAfterARestart(t *testing.T) {
	path := filepath.Join(t.TempDir(), "stack.db")
	t.Run("before", func(t *testing.T) {
		db := opened(t, path)
		t.Cleanup(func() { db.Close() })
		_, client := served(t, sqs.Config{DB: db})
		for _, name := range []string{"purged", "deleted"} {
			url := created(t, client, name, nil)
			if _, err := client.SendMessage(t.Context(), &awssqs.SendMessageInput{QueueUrl: url, MessageBody: aws.String("b")}); err != nil {
				t.Fatal(err)
			}
			var err error
			if name == "purged" {
				_, err = client.PurgeQueue(t.Context(), &awssqs.PurgeQueueInput{QueueUrl: url})
			} else {
				_, err = client.DeleteQueue(t.Context(), &awssqs.DeleteQueueInput{QueueUrl: url})
			}
			if err != nil {
				t.Fatal(err)
			}
		}
	})
	db := opened(t, path)
	t.Cleanup(func() { db.Close() })
	server, _ := served(t, sqs.Config{DB: db})
	if stats := server.Stats(); len(stats) != 1 || stats[0].Name != "purged" || stats[0].Visible != 0 {
		t.Errorf("%+v", stats)
	}
}
