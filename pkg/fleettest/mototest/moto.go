// Package mototest runs moto server, an AWS that others wrote, beside a
// package's tests: what passes there is not only what we and our own stack agree
// on. `make setup` installs it.
package mototest

import (
	"bytes"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strconv"
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
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	var log bytes.Buffer
	moto := exec.Command(program, "-H", "127.0.0.1", "-p", strconv.Itoa(port))
	moto.Stdout, moto.Stderr = &log, &log
	child, err := process.Launch(moto)
	if err != nil {
		return nil, err
	}
	URL = fmt.Sprintf("http://127.0.0.1:%d", port)
	if !wait.Soon(time.Minute, func() bool { return child.Gone() || answers(URL) }) || child.Gone() {
		child.Kill()
		return nil, fmt.Errorf("it does not answer:\n%s", log.Bytes())
	}
	return child.Kill, nil
}

func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}

func answers(url string) bool {
	resp, err := http.Get(url)
	return err == nil && resp.Body.Close() == nil
}
