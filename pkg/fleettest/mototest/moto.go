// Package mototest runs moto server, an AWS that others wrote, beside a
// package's tests: what passes there is not only what we and our own stack agree
// on. `make setup` installs it.
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

// URL is where the server answers, once Run has started it.
var URL string

// Run starts the server on a free loopback port, runs the tests, and ends it.
// It is what a package's TestMain calls, and passes on to os.Exit.
func Run(m *testing.M) int {
	stop, err := start()
	if err != nil {
		fmt.Fprintln(os.Stderr, "start moto server:", err)
		return 1
	}
	defer stop()
	return m.Run()
}

// Config is how the SDK reaches the server.
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
	// The server takes its port itself and names it: one that was free a moment
	// ago may be the port of another package's server by then.
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

// address is how the server names its own.
var address = regexp.MustCompile(`http://127\.0\.0\.1:[0-9]+`)

// logBuffer may be read while the server writes it.
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
