package awslambda

import (
	"context"
	"net/http/httptrace"
	"sync/atomic"
)

// traced returns a ctx whose request notes in sent whether the service can have
// it. Signing, dialling, TLS and waiting for a connection come before its
// headers are written, and a request that is not written to its end executes
// nothing: Lambda needs the whole payload.
//
// The transport asks for a connection again only where it knows that nothing of
// the request was taken (an idle connection that the other side had closed), so
// that what came before does not count.
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
