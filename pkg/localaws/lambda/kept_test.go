package lambda

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/lambda"
)

// asks has a child of its init phase, which counts.
const asks = `
import os, socket
ours, theirs = socket.socketpair()
if os.fork() == 0:
    ours.close()
    n = 0
    while theirs.recv(1):
        n += 1
        theirs.send(b"%d" % n)
    os._exit(0)
theirs.close()
def main(e, c):
    try:
        ours.send(b"x")
        return int(ours.recv(9) or 0)
    except OSError:
        return 0
`

// begets has a child of its init phase that starts others, as many as it is told, and
// tells how many it has.
const begets = `
import os, socket, time
ours, theirs = socket.socketpair()
if os.fork() == 0:
    ours.close()
    children = []
    while True:
        for _ in range(theirs.recv(1)[0]):
            children.append(os.fork())
            if children[-1] == 0: time.sleep(300)
        children = [pid for pid in children if os.waitpid(pid, os.WNOHANG)[0] == 0]
        theirs.send(bytes([len(children)]))
theirs.close()
def main(e, c):
    ours.send(bytes([e]))
    return ours.recv(1)[0]
`

func TestOfWhatIsKeptOneChildThatWaitsIsKeptToo(t *testing.T) {
	b := newBench(t)
	b.create("begets", begets, func(in *lambda.CreateFunctionInput) {
		in.Code.ZipFile = zipOf(t, map[string]string{"app.py": begets, runnerFile: ""})
	})
	for n, c := range []struct{ begin, has string }{{"1", "1"}, {"0", "1"}, {"1", "2"}, {"0", "0"}} {
		out, err := b.invoke("begets", c.begin)
		if err != nil || string(out.Payload) != c.has {
			t.Errorf("invocation %d: it has %s children, not %s (%v)", n, out.Payload, c.has, err)
		}
	}
}

func TestWhatTheInitPhaseOfAnEnvRunnerHasStartedIsKept(t *testing.T) {
	b := newBench(t)
	for name, want := range map[string]string{runnerFile: "3", "other.py": "0"} {
		b.create("of-"+name[:5], asks, func(in *lambda.CreateFunctionInput) {
			in.Code.ZipFile = zipOf(t, map[string]string{"app.py": asks, name: ""})
		})
		got := ""
		for range 3 {
			out, err := b.invoke("of-"+name[:5], "{}")
			if err != nil {
				t.Fatal(err)
			}
			got = string(out.Payload)
		}
		if got != want {
			t.Errorf("with the file %s its child answers the third invocation with %s, not %s", name, got, want)
		}
	}
}
