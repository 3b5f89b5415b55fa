package chaos

import (
	"fmt"
	"testing"
	"time"

	"github.com/scriptfleet/scriptfleet/pkg/localaws/sqs"
)

func queueFaults() []fault {
	all := []fault{
		{name: "20 % of messages delivered twice at once", play: onQueues(sqs.Fault{Op: "ReceiveMessage", Kind: sqs.Twice, Probability: 0.2}, 60)},
		{name: "5 % of messages delivered twice at once", long: true, play: onQueues(sqs.Fault{Op: "ReceiveMessage", Kind: sqs.Twice, Probability: 0.05}, 1000)},
		{name: "20 % of deletes lost", play: onQueues(sqs.Fault{Op: "DeleteMessage", Kind: sqs.Lose, Probability: 0.2}, 60)},
		{name: "1 % of deletes lost", long: true, play: onQueues(sqs.Fault{Op: "DeleteMessage", Kind: sqs.Lose, Probability: 0.01}, 1000)},
		{name: "30 % of each batch's entries fail: send", play: partialSend},
		{name: "30 % of each batch's entries fail: delete", play: onQueues(sqs.Fault{Op: "DeleteMessage", Kind: sqs.Entries, Probability: 0.3}, 60)},
		{name: "30 % of each batch's entries fail: extend", play: partialExtend},
		{name: "a build three times as long as the visibility", play: longBuild},
	}
	for _, s := range []struct {
		length time.Duration
		long   bool
	}{{10 * time.Second, false}, {time.Minute, true}} {
		all = append(all, fault{name: fmt.Sprintf("the results queue refuses for %s", s.length), long: s.long, play: func(t *testing.T, f *fleet) {
			refuseResults(t, f, s.length)
		}})
	}
	return all
}

// fleetQueues are the queues from which dispatcher and workers receive.
func (f *fleet) fleetQueues() []string {
	return append([]string{f.names.Requests, f.names.Side}, f.names.Partitions...)
}

// onQueues sets a fault of these queues from the first run until the last
// result.
func onQueues(x sqs.Fault, runs int) func(*testing.T, *fleet) {
	return func(t *testing.T, f *fleet) {
		t.Helper()
		var remove []func()
		for _, x.Queue = range f.fleetQueues() {
			remove = append(remove, f.queueFault(x))
		}
		f.startAll(2)
		f.send(plan{runs: runs, scripts: 3})
		f.await(0)
		for _, r := range remove {
			r()
		}
	}
}

// partialSend hits the story, the dispatcher and the workers.
func partialSend(t *testing.T, f *fleet) {
	t.Helper()
	remove := f.queueFault(sqs.Fault{Op: "SendMessage", Kind: sqs.Entries, Probability: 0.3})
	f.startAll(2)
	f.send(plan{runs: 60, scripts: 3})
	f.await(0)
	remove()
}

// partialExtend has runs longer than their visibility timeout. Most extensions
// succeed in time, because extending begins when half of the timeout is left.
func partialExtend(t *testing.T, f *fleet) {
	t.Helper()
	remove := f.queueFault(sqs.Fault{Op: "ChangeMessageVisibility", Kind: sqs.Entries, Probability: 0.3})
	f.startAll(2)
	f.send(plan{runs: 8, scripts: 1, takes: 28})
	f.await(0)
	remove()
}

// longBuild holds the layer's publish and then the function's create, each for
// 1.5 visibility timeouts: less than the deadline of such a call.
func longBuild(t *testing.T, f *fleet) {
	t.Helper()
	workers := f.startAll(2)
	for _, isHeld := range []func(call) bool{func(c call) bool { return c.op == "PublishLayerVersion" }, isCreate} {
		h := newHold(before, isHeld)
		for _, w := range workers {
			w.awsTap.add(t, h)
		}
		if len(f.sent) == 0 {
			f.send(plan{runs: 24, scripts: 1, envs: 1})
		}
		h.await(t)
		last(t, 3*visibility/2)
		h.release()
	}
}

// visibility is the worker's default visibility timeout.
const visibility = 24 * time.Second

func refuseResults(t *testing.T, f *fleet, length time.Duration) {
	t.Helper()
	f.startAll(2)
	p := plan{runs: 24, scripts: 2}
	f.send(p)
	f.await(6)
	remove := f.queueFault(sqs.Fault{Queue: f.names.Results, Op: "SendMessage", Kind: sqs.Refuse})
	f.send(p)
	last(t, length)
	remove()
}
