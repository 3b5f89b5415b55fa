package localaws

import (
	"fmt"
	"net/http"
	"strings"
	"sync"

	"github.com/scriptfleet/scriptfleet/pkg/localaws/auth"
)

// What the stack keeps of the objects and messages that scripts write, with the
// keys of their credentials: a script must not fill the memory of the fleet.
const (
	keptOfAccount = 256 << 20 // bytes
	keptOfAll     = 1 << 30
	keptOfACall   = 1 << 10 // that a written object or message costs beside its content
)

// kept bounds what other accounts than the stack's own have stored. Writes add
// to it; what was deleted is noticed by a count, once the bound is reached.
type kept struct {
	own    string
	shares *auth.Shares
	count  func(account string) int64

	counting sync.Mutex
}

func newKept(own string, count func(account string) int64) *kept {
	return &kept{own: own, shares: auth.NewShares(keptOfAccount, keptOfAll), count: count}
}

// admits tells whether a call may store what it brings.
func (k *kept) admits(id auth.Identity, bytes int64) bool {
	account := id.Account()
	if account == k.own || k.shares.Take(account, bytes) {
		return true
	}
	k.counting.Lock()
	defer k.counting.Unlock()
	for _, other := range k.shares.Keys() {
		k.shares.Set(other, k.count(other))
	}
	return k.shares.Take(account, bytes)
}

// stores is the number of bytes that a call wants to store, or 0.
func (s *Stack) stores(r *http.Request, service string) int64 {
	switch op, _ := strings.CutPrefix(r.Header.Get("X-Amz-Target"), "AmazonSQS."); {
	case service == "s3" && r.Method == http.MethodPut:
		return keptOfACall + max(r.ContentLength, 0) + s.s3.CopiedBytes(r)
	case service == "sqs" && (strings.HasPrefix(op, "Send") || strings.HasPrefix(op, "Create") || strings.HasPrefix(op, "Tag")):
		return keptOfACall + max(r.ContentLength, 0)
	}
	return 0
}

// refuse answers a call that would store too much.
func (k *kept) refuse(w http.ResponseWriter, service string) {
	text := fmt.Sprintf("The embedded stack keeps %d MiB of what scripts of one account write, and %d MiB of all: delete objects or messages.", keptOfAccount>>20, keptOfAll>>20)
	if service == "s3" {
		auth.WriteS3Error(w, http.StatusForbidden, "ServiceQuotaExceededException", text)
		return
	}
	auth.WriteJSONError(w, http.StatusForbidden, "com.amazonaws.sqs#OverLimit", "OverLimit", text)
}
