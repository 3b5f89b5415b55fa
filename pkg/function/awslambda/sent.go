package awslambda

import (
	"context"
	"net/http/httptrace"
	"sync/atomic"
)

// traced returns a ctx under which an HTTP request sets sent once its headers
// are written, and clears it if the rest cannot be written. Signing, dialling,
// TLS and the wait for a connection come before the headers. A request that
// breaks off before its end executes nothing: Lambda needs the whole payload.
//
// The transport asks for a second connection only if the server took nothing of
// the request (an idle connection that the server had closed), so asking clears
// sent too.
func traced(ctx context.Context) (_ context.Context, sent *atomic.Bool) {
	sent = new(atomic.Bool)
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GetConn:      func(string) { sent.Store(false) },
		WroteHeaders: func() { sent.Store(true) },
		WroteRequest: func(w httptrace.WroteRequestInfo) {
			if w.Err != nil {
				sent.Store(false)
			}
		},
	}), sent
}
