package awslambda

import (
	"context"
	"net/http/httptrace"
	"sync/atomic"
)

// traced returns a ctx whose request notes in sent when its headers are
// written. Signing, dialling, TLS and waiting for a connection come before, and
// a request without its headers executes nothing.
//
// The transport asks for a connection again only where it knows that nothing of
// the request was taken (an idle connection that the other side had closed), so
// that what came before does not count.
func traced(ctx context.Context) (_ context.Context, sent *atomic.Bool) {
	sent = new(atomic.Bool)
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GetConn:      func(string) { sent.Store(false) },
		WroteHeaders: func() { sent.Store(true) },
	}), sent
}
