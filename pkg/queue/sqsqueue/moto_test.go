package sqsqueue_test

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/scriptfleet/scriptfleet/pkg/queue/sqsqueue"
)

// motoURL is where the package's moto server answers.
var motoURL string

func TestMain(m *testing.M) { os.Exit(withMoto(m)) }

// withMoto runs the tests beside an SQS that others wrote.
func withMoto(m *testing.M) int {
	program := filepath.Join("..", "..", "..", ".tools", "bin", "moto_server")
	if _, err := os.Stat(program); err != nil {
		fmt.Fprintf(os.Stderr, "these tests need moto, which `make setup` installs: %v\n", err)
		return 1
	}
	port, err := freePort()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	var log bytes.Buffer
	moto := exec.Command(program, "-H", "127.0.0.1", "-p", strconv.Itoa(port))
	moto.Stdout, moto.Stderr = &log, &log
	if err := moto.Start(); err != nil {
		fmt.Fprintln(os.Stderr, "start moto:", err)
		return 1
	}
	ended := make(chan struct{})
	go func() { moto.Wait(); close(ended) }()
	defer func() { moto.Process.Kill(); <-ended }()
	motoURL = fmt.Sprintf("http://127.0.0.1:%d", port)
	if !answers(motoURL, ended) {
		fmt.Fprintf(os.Stderr, "moto does not answer:\n%s", log.Bytes())
		return 1
	}
	return m.Run()
}

func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}

// answers waits until something answers at url, unless the process ends.
func answers(url string, ended <-chan struct{}) bool {
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for range 1200 {
		select {
		case <-ended:
			return false
		case <-tick.C:
		}
		if resp, err := http.Get(url); err == nil {
			resp.Body.Close()
			return true
		}
	}
	return false
}

// clientOf speaks to an endpoint as production does.
func clientOf(url string) *sqs.Client {
	return sqsqueue.NewClient(aws.Config{
		Region:       "us-east-1",
		BaseEndpoint: aws.String(url),
		Credentials:  credentials.NewStaticCredentialsProvider("test", "test", ""),
	})
}

// open ensures the queue of that name, and opens it.
func open(t testing.TB, client *sqs.Client, name string, want map[string]string) *sqsqueue.Queue {
	t.Helper()
	if _, err := sqsqueue.EnsureOne(t.Context(), client, name, want); err != nil {
		t.Fatal(err)
	}
	q, err := sqsqueue.Open(t.Context(), client, name)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		url, err := client.GetQueueUrl(context.Background(), &sqs.GetQueueUrlInput{QueueName: &name})
		if err == nil {
			client.DeleteQueue(context.Background(), &sqs.DeleteQueueInput{QueueUrl: url.QueueUrl})
		}
	})
	return q
}
