package sqsqueue

import (
	"errors"
	"fmt"
	"strconv"

	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/scriptfleet/scriptfleet/pkg/panics"
	"github.com/scriptfleet/scriptfleet/pkg/queue"
)

// atOnce is how many calls of one method run at once: enough to hide the round
// trips of a burst, few enough to leave connections for other calls.
const atOnce = 8

var ids = [queue.MaxBatch]string{"0", "1", "2", "3", "4", "5", "6", "7", "8", "9"}

// id returns the id of entry n of a call.
func id(n int) *string { return &ids[n] }

// split divides entries, given by index, into calls of at most ten entries and,
// if size is not nil, maxBytes in sum. The order stays.
func split(entries []int, size func(i int) int, maxBytes int) [][]int {
	var calls [][]int
	first, sum := 0, 0
	for n, i := range entries {
		bytes := 0
		if size != nil {
			bytes = size(i)
		}
		if n-first == queue.MaxBatch || n > first && sum+bytes > maxBytes {
			calls = append(calls, entries[first:n])
			first, sum = n, 0
		}
		sum += bytes
	}
	if first < len(entries) {
		calls = append(calls, entries[first:])
	}
	return calls
}

func upTo(n int) []int {
	all := make([]int, n)
	for i := range all {
		all[i] = i
	}
	return all
}

// inCalls makes the calls, atOnce at a time, and waits for all of them. A
// single call, the common case, runs in the caller's goroutine.
func inCalls(calls [][]int, do func(call []int)) {
	if len(calls) == 1 {
		do(calls[0])
		return
	}
	var g panics.Group
	g.SetLimit(atOnce)
	for _, call := range calls {
		g.Go(func() error { do(call); return nil })
	}
	_ = g.Wait() // do stores its errors itself
}

// errUnanswered is the error of an entry that the answer does not mention. The
// entry may have taken effect.
var errUnanswered = errors.New("the answer does not mention this entry")

// answers stores the answer of a call in errs: the error of entry n of the call
// goes to errs[call[n]].
type answers struct {
	verb, queue string
	call        []int
	errs        []error
	succeeded   [queue.MaxBatch]bool
}

func (a *answers) failAll(err error) {
	err = a.wrap(err)
	for _, i := range a.call {
		a.errs[i] = err
	}
}

func (a *answers) succeed(id *string) {
	if n, ok := a.place(id); ok {
		a.succeeded[n] = true
	}
}

// settle stores the errors of the failed entries, classified by class, and
// errUnanswered for each entry that the answer does not mention.
func (a *answers) settle(failed []types.BatchResultErrorEntry, class func(*EntryError) error) {
	for i := range failed {
		if n, ok := a.place(failed[i].Id); ok {
			a.errs[a.call[n]] = a.wrap(class(entryError(&failed[i])))
		}
	}
	for n, i := range a.call {
		if a.errs[i] == nil && !a.succeeded[n] {
			a.errs[i] = a.wrap(errUnanswered)
		}
	}
}

func (a *answers) place(id *string) (int, bool) {
	n, err := strconv.Atoi(text(id))
	return n, err == nil && n >= 0 && n < len(a.call)
}

func (a *answers) wrap(err error) error {
	return fmt.Errorf("%s %s: %w", a.verb, a.queue, err)
}
