package lambda

import (
	"encoding/json"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/lambda"

	"github.com/scriptfleet/scriptfleet/pkg/fleettest/wait"
	"github.com/scriptfleet/scriptfleet/pkg/interpreter"
)

// awaitBlank waits until an interpreter of the bench's runtime waits, and returns
// its stock.
func (b *bench) awaitBlank() *stock {
	b.t.Helper()
	python, _ := b.server.deps.Interpreters.For(strings.TrimPrefix(b.python, "python"))
	s := b.server.blanks.stock(python)
	wait.Until(b.t, time.Minute, "no interpreter waits", func() bool { return len(s.ready) > 0 })
	return s
}

// sinceBoot is the present time in the unit of a process's start in /proc, which
// is 10 ms.
func sinceBoot(t *testing.T) float64 {
	text, err := os.ReadFile("/proc/uptime")
	if err != nil {
		t.Fatal(err)
	}
	seconds, _, _ := strings.Cut(string(text), " ")
	up, err := strconv.ParseFloat(seconds, 64)
	if err != nil {
		t.Fatal(err)
	}
	return up * 100
}

func TestAColdStartTakesAnInterpreterThatWaits(t *testing.T) {
	b := newBench(t)
	b.awaitBlank()
	now := sinceBoot(t)
	b.create("first", `import os
def main(e, c):
    began = int(open("/proc/self/stat").read().rsplit(")")[-1].split()[19])
    return {"began": began, "name": os.environ["AWS_LAMBDA_FUNCTION_NAME"], "folder": os.getcwd(), "files": os.listdir("/var/task")}
`, func(in *lambda.CreateFunctionInput) { in.MemorySize = aws.Int32(256) })
	out, err := b.invoke("first", "{}")
	if err != nil {
		t.Fatal(err)
	}
	var told struct {
		Began        float64
		Name, Folder string
		Files        []string
	}
	if err := json.Unmarshal(out.Payload, &told); err != nil || told.Name != "first" || told.Folder != "/var/task" || strings.Join(told.Files, " ") != "app.py" {
		t.Errorf("%s %v", out.Payload, err)
	}
	if told.Began > now {
		t.Errorf("the interpreter began at %v, after the function was made at %v", told.Began, now)
	}
}

func TestABlankThatHasEndedIsPassedOver(t *testing.T) {
	b := newBench(t)
	ready := b.awaitBlank().ready
	dead := <-ready
	dead.proc.Kill()
	for put := false; !put; {
		select {
		case ready <- dead:
			put = true
		case other := <-ready:
			other.kill()
		}
	}
	b.create("next", echo)
	if out, err := b.invoke("next", "7"); err != nil || string(out.Payload) != "7" {
		t.Errorf("%v %v", out, err)
	}
}

func TestBlanksEndWhenTheirRuntimeIsNoLongerUsed(t *testing.T) {
	b := newBench(t, func(c *Config, _ *Deps) { c.IdleTimeout = time.Second })
	b.awaitBlank()
	wait.Until(t, time.Minute, "an interpreter still waits", func() bool { return len(runtimeStates()) == 0 })
}

func TestAStartWaitsForTheInterpreterThatIsBeingMade(t *testing.T) {
	all := newBench(t).server.blanks
	p := &program{interpreter: interpreter.Interpreter{Path: "/nowhere"}, tmpMB: leastTmpMB}
	s := &stock{ready: make(chan *environment, 1)}
	all.mu.Lock()
	all.stocks[p.interpreter.Path] = s
	all.mu.Unlock()
	if all.take(p) != nil {
		t.Fatal("a start got an interpreter that is not there")
	}
	all.begin(s)
	got := make(chan *environment, 1)
	go func() { got <- all.take(p) }()
	wait.Until(t, time.Minute, "the start does not wait", func() bool {
		all.mu.Lock()
		defer all.mu.Unlock()
		return s.claim != nil
	})
	if all.take(p) != nil {
		t.Error("a second start got the interpreter of the first")
	}
	made := &environment{}
	if !all.finish(s, made) || <-got != made {
		t.Error("the start did not get the interpreter that it waited for")
	}
	if all.finish(s, made) {
		t.Error("an interpreter that no start waits for counts as taken")
	}
}
