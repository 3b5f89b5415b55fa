// Package mototest runs moto server, an independent implementation of AWS, for
// a package's tests: a test that passes with it does not depend on errors of
// our own stack. `make setup` installs it.
package mototest

import (
	"bytes"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"

	"github.com/scriptfleet/scriptfleet/pkg/fleettest/process"
	"github.com/scriptfleet/scriptfleet/pkg/fleettest/program"
	"github.com/scriptfleet/scriptfleet/pkg/fleettest/wait"
)

// URL is the server's address, set by Run.
var URL string

// Run starts the server on a free loopback port, runs the tests, and stops it.
// TestMain passes its result to os.Exit.
func Run(m *testing.M) int {
	stop, err := start()
	if err != nil {
		fmt.Fprintln(os.Stderr, "start moto server:", err)
		return 1
	}
	defer stop()
	return m.Run()
}

// Config is an SDK configuration for the server.
func Config() aws.Config {
	return aws.Config{
		Region:       "us-east-1",
		BaseEndpoint: aws.String(URL),
		Credentials:  credentials.NewStaticCredentialsProvider("test", "test", ""),
	}
}

func start() (stop func(), err error) {
	program, err := program.Tool("moto_server")
	if err != nil {
		return nil, err
	}
	var log logBuffer
	// The server chooses its port itself and prints it: a port that the test
	// chose might be taken by another package's server meanwhile.
	moto := exec.Command(program, "-H", "127.0.0.1", "-p", "0")
	moto.Stdout, moto.Stderr = &log, &log
	child, err := process.Launch(moto)
	if err != nil {
		return nil, err
	}
	if !wait.Soon(time.Minute, func() bool {
		URL = address.FindString(log.String())
		return child.Gone() || URL != "" && answers(URL)
	}) || child.Gone() {
		child.Kill()
		return nil, fmt.Errorf("it does not answer:\n%s", log.String())
	}
	return child.Kill, nil
}

// address matches the server's address in its output.
var address = regexp.MustCompile(`http://127\.0\.0\.1:[0-9]+`)

// logBuffer is safe to read while the server writes it.
type logBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

func answers(url string) bool {
	resp, err := http.Get(url)
	return err == nil && resp.Body.Close() == nil
}
