package ledger_test

import (
	"context"
	"fmt"
	"time"

	"github.com/scriptfleet/scriptfleet/pkg/ledger"
	"github.com/scriptfleet/scriptfleet/pkg/ledger/memledger"
	"github.com/scriptfleet/scriptfleet/pkg/run"
)

// The life of a run: accepted, claimed, invoked, finished, published.
func ExampleLedger() {
	ctx := context.Background()
	var l ledger.Ledger = memledger.New(memledger.Config{})
	e := ledger.Entry{Key: run.KeyOf("acme", "/stories/one", "1"), Tenant: "acme"}
	_, _ = l.Accept(ctx, []ledger.Entry{e})

	claims, _ := l.Claim(ctx, []ledger.Claim{{Entry: e, Owner: "worker-1"}}, time.Minute)
	fmt.Println("granted:", claims[0].Granted, "attempts before:", claims[0].Attempts)
	others, _ := l.Claim(ctx, []ledger.Claim{{Entry: e, Owner: "worker-2"}}, time.Minute)
	fmt.Println("granted:", others[0].Granted, "held by", others[0].HeldBy)

	_, _ = l.Invoking(ctx, []ledger.Hold{claims[0].Hold}) // before Lambda is called
	_, _ = l.Finish(ctx, []ledger.Finish{{Hold: claims[0].Hold.Begun(), Status: run.Succeeded, Result: []byte("the event")}})
	_ = l.Published(ctx, []run.Key{e.Key})

	books, _ := l.Books(ctx)
	fmt.Println("accepted:", books.Accepted, "open:", books.Open, "succeeded:", books.Finished[run.Succeeded])
	// Output:
	// granted: true attempts before: 0
	// granted: false held by worker-1
	// accepted: 1 open: 0 succeeded: 1
}
