// Package shape detects processes of a fleet whose settings do not fit
// together. For example, if a dispatcher sends to 8 partitions and the workers
// read 4, half of the runs wait for ever.
//
// Each process writes its settings to Redis, under the fleet's prefix, and
// writes them again every 5 s. The entry expires 15 s after the last write. So
// the settings of running processes are compared with each other, and there is
// no record of the wanted settings that an operator would have to change first.
// Tags of the queues would survive a flush of Redis, but they would hold what
// one process once set, and every role would need the permission to set them.
//
// [Differences] decides which differences matter. If Redis is flushed, a difference
// is not seen for a few seconds. Nothing else depends on these entries.
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
	Command    Role = "command" // an operator's command; it is not on the Board
)

// Process is a process of the fleet with the settings that are compared.
type Process struct {
	Role       Role   `json:"role"`
	Name       string `json:"name"` // unique among those of the role
	Partitions int    `json:"partitions"`
	Bucket     string `json:"bucket"`
	Version    string `json:"version"` // of the handler in its functions

	// The rest is not compared.
	Release  string `json:"release,omitempty"`
	Started  int64  `json:"started,omitempty"`   // in unix seconds
	Turns    int    `json:"turns,omitempty"`     // runs that a worker executes at a time
	NotReady string `json:"not_ready,omitempty"` // why it takes no work; empty while it does
}

// Board is the list of the fleet's processes.
type Board interface {
	// Announce puts p on the board for ttl, and returns all processes on it.
	Announce(ctx context.Context, p Process, ttl time.Duration) ([]Process, error)
	// Leave takes p off the board.
	Leave(ctx context.Context, p Process) error
	// Processes returns all processes on the board.
	Processes(ctx context.Context) ([]Process, error)
}

// Difference is a difference of settings between two processes.
type Difference struct {
	Text string // what differs, between which processes, and what to do
	// Passing is set for differences that every rolling update makes: no
	// process has a wrong setting.
	Passing bool
}

// Differences returns the differences between p and the others. It is no
// difference if a worker reads more partitions than a dispatcher sends to. So
// an operator can add partitions to the workers first, and remove them from the
// dispatchers first.
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

// Within returns the differences among the processes, each once.
func Within(ps []Process) []Difference {
	var all []Difference
	for i, p := range ps {
		all = append(all, Differences(p, ps[i+1:])...)
	}
	return all
}
