package fleettest

import (
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/scriptfleet/scriptfleet/pkg/fleettest/process"
)

// late is an address at which nothing listens until open.
type late struct{ addr, to string }

func lateBefore(t *testing.T, to string) late {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return late{l.Addr().String(), to}
}

// open forwards each connection until the test ends.
func (l late) open(t *testing.T) {
	t.Helper()
	listener, err := net.Listen("tcp", l.addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	go func() {
		for {
			in, err := listener.Accept()
			if err != nil {
				return
			}
			out, err := net.Dial("tcp", l.to)
			if err != nil {
				in.Close()
				continue
			}
			pass := func(to, from net.Conn) { _, _ = io.Copy(to, from); to.Close() }
			go pass(out, in)
			go pass(in, out)
		}
	}()
}

func TestProcessesThatStartBeforeSQSAndRedisWaitAndSayWhy(t *testing.T) {
	t.Parallel()
	f := startStack(t)
	host := func(address string) *url.URL {
		u, err := url.Parse(address)
		if err != nil {
			t.Fatal(err)
		}
		return u
	}
	aws, redis := host(f.set["AWS_ENDPOINT_URL"]), host(f.set["REDIS_URL"])
	lateAWS, lateRedis := lateBefore(t, aws.Host), lateBefore(t, redis.Host)
	aws.Host, redis.Host = lateAWS.addr, lateRedis.addr
	env := []string{"AWS_ENDPOINT_URL=" + aws.String(), "REDIS_URL=" + redis.String()}
	processes := []*process.Process{f.process("dispatcher", env), f.workerWith(env)}

	say := func(code int, says, saysNot string) {
		t.Helper()
		for _, p := range processes {
			eventually(t, p.Name+" does not say what it waits for: "+says, func() bool {
				got, body := get(t, p.Admin(), "/readyz")
				return got == code && strings.Contains(body, says) && (saysNot == "" || !strings.Contains(body, saysNot))
			})
		}
	}
	say(http.StatusServiceUnavailable, "SQS does not answer", "")
	say(http.StatusServiceUnavailable, "Redis does not answer", "")
	lateAWS.open(t)
	say(http.StatusServiceUnavailable, "Redis does not answer", "SQS")
	lateRedis.open(t)
	say(http.StatusOK, "ok", "")
	f.goesOn(t)
}
