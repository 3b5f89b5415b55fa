// Package awscall sends signed calls to AWS for a fraction of the CPU time that
// a client of the SDK takes, which builds a stack of some thirty middlewares for
// each call. It is for the calls that are made for every run.
//
// It knows no service, and repeats nothing. What it returns is the answer as it
// came: an adapter reads it if the call has succeeded, and else gives the call
// to the SDK's client, or reads the error.
package awscall

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/scriptfleet/scriptfleet/pkg/sigv4"
)

// HTTPClient is the SDK's.
type HTTPClient interface {
	Do(*http.Request) (*http.Response, error)
}

// Config configures a Caller; all fields are required.
type Config struct {
	Service  string // as it is signed, such as sqs
	Region   string
	Endpoint url.URL
	HTTP     HTTPClient
}

// Caller calls one service. It is safe for concurrent use.
type Caller struct {
	cfg    Config
	signer sigv4.Signer
	skew   atomic.Int64 // what is added to this machine's clock, in ns
}

// maxSkew is the greatest error of a clock that AWS's services accept, and a
// margin.
const maxSkew = 4 * time.Minute

// New returns a Caller.
func New(cfg Config) *Caller {
	return &Caller{cfg: cfg}
}

func (c *Caller) now() time.Time { return time.Now().Add(time.Duration(c.skew.Load())) }

// setClock corrects the clock for the next signature by the date of a refusal.
func (c *Caller) setClock(header http.Header) {
	date, err := http.ParseTime(header.Get("Date"))
	if err != nil {
		return
	}
	skew := time.Until(date)
	if skew.Abs() < maxSkew {
		skew = 0
	}
	c.skew.Store(int64(skew))
}

// Answer is the answer of a service.
type Answer struct {
	Status int
	Header http.Header
	Body   []byte
}

// Post sends one POST that is signed with keys, and reads the whole answer. The
// header gets the signature.
func (c *Caller) Post(ctx context.Context, keys aws.Credentials, path string, header http.Header, body []byte) (Answer, error) {
	to := c.cfg.Endpoint
	to.Path += path
	req := (&http.Request{
		Method: http.MethodPost, URL: &to, Host: to.Host, Header: header, ContentLength: int64(len(body)),
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
	}).WithContext(ctx)
	if len(body) > 0 {
		// With GetBody the transport may send a request again of which an idle
		// connection took nothing.
		req.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(body)), nil }
		req.Body, _ = req.GetBody()
	}
	c.sign(req, keys, body, c.now())
	resp, err := c.cfg.HTTP.Do(req)
	if err != nil && ctx.Err() != nil {
		return Answer{}, fmt.Errorf("%w: %w", ctx.Err(), err)
	}
	if err != nil {
		return Answer{}, err
	}
	defer resp.Body.Close()
	if resp.StatusCode >= http.StatusBadRequest {
		c.setClock(resp.Header)
	}
	var content bytes.Buffer
	content.Grow(int(max(0, min(resp.ContentLength, 8<<20))) + bytes.MinRead) // room for the last read, which finds the end
	if _, err := content.ReadFrom(resp.Body); err != nil {
		return Answer{}, fmt.Errorf("read the answer: %w", err)
	}
	return Answer{Status: resp.StatusCode, Header: resp.Header, Body: content.Bytes()}, nil
}
