// Package shape tells when the processes of a fleet were started with settings
// that do not fit together: a dispatcher that sends to 8 partitions beside
// workers that read 4 leaves half of the runs where nothing takes them.
//
// Each process writes down what it was started with, under the fleet's prefix in
// Redis, and writes it again every few seconds; it runs out soon after the
// process does. So there is no record of what the fleet ought to be, which a
// change of settings would have to change first: what is compared is what runs.
// Tags of the queues would outlive a flush of Redis, but they would tell what one
// process wanted once, and every role would have to be allowed to set them.
//
// What follows from a difference is up to [Differences]. Redis forgetting
// everything hides a difference for a few seconds, and nothing else rests on it.
package shape

import (
	"context"
	"fmt"
	"time"
)

// Role is what a process does in the fleet.
type Role string

const (
	Dispatcher Role = "dispatcher"
	Worker     Role = "worker"
	Command    Role = "command" // an operator's; it is never written down
)

// Process is one of the fleet, and what it was started with.
type Process struct {
	Role       Role   `json:"role"`
	Name       string `json:"name"` // unique among those of the role
	Partitions int    `json:"partitions"`
	Bucket     string `json:"bucket"`
	Version    string `json:"version"` // of the handler that its functions are made with
}

// Board is where processes are written down.
type Board interface {
	// Announce writes p down for ttl, and returns all that are written down.
	Announce(ctx context.Context, p Process, ttl time.Duration) ([]Process, error)
	// Leave takes p off the board.
	Leave(ctx context.Context, p Process) error
	// Processes are all that are written down.
	Processes(ctx context.Context) ([]Process, error)
}

// Difference is something that does not fit together.
type Difference struct {
	Text string // what differs, between which processes, and what to do
	// Passing differences are part of every roll: no process is at fault.
	Passing bool
}

// Differences are those between p and the others. A worker may read more
// partitions than dispatchers send to: so partitions are added to the workers
// first, and taken from the dispatchers first, without a word from here.
func Differences(p Process, others []Process) []Difference {
	var all []Difference
	for _, o := range others {
		if o.Role == p.Role && o.Name == p.Name {
			continue
		}
		if text := partitions(p, o); text != "" {
			all = append(all, Difference{Text: text})
		}
		if p.Bucket != o.Bucket {
			all = append(all, Difference{Text: fmt.Sprintf("%s has %s and %s has %s: bodies that one stores the other can't read; give both the same --bucket", p, bucket(p), o, bucket(o))})
		}
		if p.Version != o.Version {
			all = append(all, Difference{Passing: true, Text: fmt.Sprintf("%s and %s are of different versions, as while a fleet is rolled", p, o)})
		}
	}
	return all
}

func partitions(p, o Process) string {
	switch {
	case p.Role == Command && p.Partitions != o.Partitions:
		return fmt.Sprintf("%s looks at %d partitions and %s at %d: give the command --partitions %d", p, p.Partitions, o, o.Partitions, o.Partitions)
	case p.Role == Worker && o.Role == Dispatcher:
		p, o = o, p
		fallthrough
	case p.Role == Dispatcher && o.Role == Worker:
		if p.Partitions > o.Partitions {
			return fmt.Sprintf("%s sends to %d partitions and %s reads only %d of them, so it may leave runs waiting for ever: start both with the same --partitions", p, p.Partitions, o, o.Partitions)
		}
	}
	return ""
}

func bucket(p Process) string {
	if p.Bucket == "" {
		return "no bucket"
	}
	return "the bucket " + p.Bucket
}

func (p Process) String() string {
	if p.Role == Command {
		return "this command"
	}
	return string(p.Role) + " " + p.Name
}

// Within are the differences among the processes themselves, each once.
func Within(ps []Process) []Difference {
	var all []Difference
	for i, p := range ps {
		all = append(all, Differences(p, ps[i+1:])...)
	}
	return all
}
