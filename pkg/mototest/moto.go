// Package mototest runs moto server, an AWS that others wrote, beside a
// package's tests: what passes there is not only what we and our own stack agree
// on. `make setup` installs it.
package mototest

import (
	"bytes"
	"errors"
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

// Tool is the path of a program that `make setup` installed.
func Tool(name string) (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for ; ; dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			break
		}
		if dir == filepath.Dir(dir) {
			return "", errors.New("not inside the module")
		}
	}
	path := filepath.Join(dir, ".tools", "bin", name)
	if _, err := os.Stat(path); err != nil {
		return "", fmt.Errorf("%w; `make setup` installs it", err)
	}
	return path, nil
}

func start() (stop func(), err error) {
	program, err := Tool("moto_server")
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
	if err := moto.Start(); err != nil {
		return nil, err
	}
	ended := make(chan struct{})
	go func() { _ = moto.Wait(); close(ended) }()
	stop = func() { _ = moto.Process.Kill(); <-ended }
	URL = fmt.Sprintf("http://127.0.0.1:%d", port)
	if !answers(URL, ended) {
		stop()
		return nil, fmt.Errorf("it does not answer:\n%s", log.Bytes())
	}
	return stop, nil
}

func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}

// answers waits a minute for an answer at url, unless the process ends.
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
			_ = resp.Body.Close()
			return true
		}
	}
	return false
}
