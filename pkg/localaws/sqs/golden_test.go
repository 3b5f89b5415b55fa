package sqs_test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	awssqs "github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/scriptfleet/scriptfleet/pkg/localaws/auth"
	"github.com/scriptfleet/scriptfleet/pkg/localaws/sqs"
)

// TestAnswersHaveTheFieldsThatAWSRecorded sends the requests that the SDK's
// authors recorded, each to a new queue, and compares the fields of the answers
// with those of the recorded answers.
func TestAnswersHaveTheFieldsThatAWSRecorded(t *testing.T) {
	dir, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/aws/aws-sdk-go-v2/service/sqs").Output()
	if err != nil {
		t.Fatal("go list finds the SDK's module:", err)
	}
	for _, operation := range []string{"ListQueues", "ListQueueTags", "GetQueueUrl", "GetQueueAttributes", "ListDeadLetterSourceQueues",
		"PurgeQueue", "TagQueue", "UntagQueue", "DeleteQueue"} {
		t.Run(operation, func(t *testing.T) {
			server, client := served(t, sqs.Config{})
			url := created(t, client, "__QueueUrl__", nil)
			created(t, client, "__QueueName__", nil)
			if _, err := client.SendMessage(t.Context(), &awssqs.SendMessageInput{QueueUrl: url, MessageBody: aws.String("b"),
				MessageGroupId: aws.String("g"), MessageAttributes: map[string]types.MessageAttributeValue{
					"__Member__": {DataType: aws.String("String"), StringValue: aws.String("v")}}}); err != nil {
				t.Fatal(err)
			}
			w := replayed(server, operation, recorded(t, string(dir), "request_snapshot/"+operation+".request.snap"))
			if w.Code != http.StatusOK {
				t.Fatal(w.Code, w.Body)
			}
			fields(t, operation, decoded(t, w.Body.Bytes()),
				decoded(t, recorded(t, string(dir), "response_snapshot/"+operation+".response.snap")))
		})
	}
}

func replayed(server http.Handler, operation string, body []byte) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodPost, "/", bytes.NewReader(body))
	r.Header.Set("X-Amz-Target", "AmazonSQS."+operation)
	w := httptest.NewRecorder()
	as(auth.Root(account, "k"), server).ServeHTTP(w, r)
	return w
}

// recorded is the body of a file in the SDK's module.
func recorded(t *testing.T, dir, file string) []byte {
	raw, err := os.ReadFile(filepath.Join(strings.TrimSpace(dir), file))
	if err != nil {
		t.Fatal(err)
	}
	_, body, _ := bytes.Cut(raw, []byte("X-Amzn-Query-Mode: true\n\n"))
	return body
}

func decoded(t *testing.T, body []byte) any {
	if len(bytes.TrimSpace(body)) == 0 {
		return map[string]any{}
	}
	var v any
	if err := json.Unmarshal(body, &v); err != nil {
		t.Fatalf("%s: %v", body, err)
	}
	return v
}

// fields fails for a field of the answer that the recorded one lacks. A
// recorded map with the key key0 matches any keys.
func fields(t *testing.T, path string, is, was any) {
	switch is := is.(type) {
	case map[string]any:
		recorded, ok := was.(map[string]any)
		if !ok {
			t.Errorf("%s is an object; recorded was %v", path, was)
			return
		}
		for name, v := range is {
			like, known := recorded[name]
			if any, free := recorded["key0"]; free {
				like, known = any, true
			}
			if !known {
				t.Errorf("%s.%s was never recorded", path, name)
				continue
			}
			fields(t, path+"."+name, v, like)
		}
	case []any:
		recorded, ok := was.([]any)
		if !ok || len(recorded) == 0 {
			t.Errorf("%s is a list; recorded was %v", path, was)
			return
		}
		for _, v := range is {
			fields(t, path+"[]", v, recorded[0])
		}
	}
}
