package main

import (
	"strings"
	"testing"
	"time"

	"github.com/scriptfleet/scriptfleet/cmd/internal/look"
	"github.com/scriptfleet/scriptfleet/pkg/run"
)

// screen is the status of a fleet in which not all is well.
func screen() look.Status {
	at := time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)
	rate := 12.34
	return look.Status{
		At: at, Prefix: "f", Where: "f on AWS in eu-west-1",
		Processes: []look.Process{
			{Role: "dispatcher", Name: "d", Release: "v1", Handler: "h", Partitions: 2, Started: at.Add(-90 * time.Second), Ready: true},
			{Role: "worker", Name: "w\x1b", Release: "v1", Handler: "h", Partitions: 2, Turns: 32, Reason: "sqs: no answer"},
		},
		Queues: []look.Queue{
			{Queue: "f-requests", Visible: 1, InFlight: 2, Delayed: 3}, {Queue: "f-partition-0", Visible: 4, InFlight: 5, Delayed: 0}, {Queue: "f-partition-1", Visible: 40, InFlight: 5, Delayed: 1}, {Queue: "f-partition-side", Visible: 6, InFlight: 0, Delayed: 0}, {Queue: "f-partition-dlq", Visible: 7, InFlight: 0, Delayed: 0},
		},
		Open: 9, Tenants: 1, Ended: 3, Finished: map[run.Status]int64{run.Succeeded: 2, run.Failed: 1}, Rate: &rate,
		Oldest:   &look.OpenRun{Run: "k", Tenant: "acme", State: "queued", Since: at.Add(-time.Minute)},
		Backlogs: []look.Backlog{{Tenant: "acme", Open: 9}},
	}
}

func TestTheStatusIsOneScreen(t *testing.T) {
	var b strings.Builder
	writeStatus(&b, screen())
	_, got, _ := strings.Cut(b.String(), "\n") // the first line has the local time
	want := `
PROCESS       RELEASE  HANDLER  PARTITIONS  TURNS  UP FOR  STATE
dispatcher d  v1       h        2                  1m30s   ready
worker w\x1b  v1       h        2           32             not ready: sqs: no answer

QUEUE             WAITING  IN FLIGHT  DELAYED
requests                1          2        3
2 partitions           44         10        1  most on partition-1: 40
partition-side          6          0        0
partition-dlq           7          0        0

9 open runs of 1 tenants, 3 finished: 2 succeeded, 1 failed; 12.3 results a second
the oldest open run: k of acme, queued for 1m0s
most open runs: acme 9
`
	if got != want {
		t.Errorf("the screen is\n%s", got)
	}
}

func TestAFleetWorksIfADispatcherAndAWorkerDo(t *testing.T) {
	s := screen()
	if err := s.Err(); err == nil || !strings.Contains(err.Error(), "no worker of f") {
		t.Errorf("without a worker that takes work: %v", err)
	}
	s.Processes[1].Ready = true
	if err := s.Err(); err != nil {
		t.Error(err)
	}
	s.Differences = []string{"they differ"}
	if err := s.Err(); err == nil || !strings.Contains(err.Error(), "they differ") {
		t.Errorf("with settings that differ: %v", err)
	}
	s.Processes = nil
	if err := s.Err(); err == nil || !strings.Contains(err.Error(), "no dispatcher of f") {
		t.Errorf("without a process: %v", err)
	}
}
