package dashboards

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"
)

// batch is what a replay sends at its recorded times: events of a story that
// every dashboard has something to show of.
type batch struct {
	lines strings.Builder
	begin time.Time
	n     int
}

// quietTenants is the number of tenants with few runs: with the one that floods
// there are more than a process shows by name.
const quietTenants = 24

// newBatch is a story of this length. A tenant floods with runs, half of them
// slow; quiet tenants send a few each, two of them with a requirement that they
// share, one a script that raises, one a script that no build can make. After a
// third of the time the flood brings a burst of one new script.
func newBatch(t *testing.T, length time.Duration, perSecond int) *batch {
	t.Helper()
	b := &batch{begin: time.Date(2026, 11, 23, 9, 0, 0, 0, time.UTC)}
	total := int(length.Seconds() * float64(perSecond))
	for i := range total {
		at := length * time.Duration(i) / time.Duration(total)
		if i%2 == 0 {
			b.add(t, at, "flood", flood(i))
		} else {
			quiet := i / 2 % quietTenants
			b.add(t, at, fmt.Sprintf("quiet-%02d", quiet), scriptOf(quiet, i))
		}
		if i == total/3 {
			for range 30 {
				b.add(t, at, "flood", map[string]any{"script": "import time\ndef main(input):\n    time.sleep(0.1)\n    return 'burst'"})
			}
		}
	}
	return b
}

func flood(i int) map[string]any {
	if i%4 == 0 {
		return map[string]any{"script": "import time\ndef main(input):\n    time.sleep(0.5)"}
	}
	return map[string]any{"script": "def main(input):\n    return {'n': input['n']}", "input": map[string]int{"n": i}}
}

func scriptOf(quiet, i int) map[string]any {
	switch quiet {
	case 1, 2:
		return map[string]any{"script": "import idna\ndef main(input):\n    return idna.__version__", "requirements": "idna==3.10\n"}
	case 3:
		return map[string]any{"script": "def main(input):\n    raise ValueError('no')"}
	case 4:
		return map[string]any{"script": "def main(input:\n"}
	}
	return map[string]any{"script": "def main(input):\n    return {'n': input['n']}", "input": map[string]int{"n": i}}
}

// add adds a request that is due at a time after the batch's begin. Its trace is
// recorded.
func (b *batch) add(t *testing.T, at time.Duration, tenant string, data map[string]any) {
	t.Helper()
	b.n++
	line, err := json.Marshal(map[string]any{
		"specversion": "1.0", "type": "scriptfleet.run.requested", "source": "/stories/replay", "id": fmt.Sprint(b.n),
		"time": b.begin.Add(at).Format(time.RFC3339Nano), "tenant": tenant, "data": data,
		"traceparent": fmt.Sprintf("00-%032x-%016x-01", 0xabc000+b.n, b.n),
	})
	if err != nil {
		t.Fatal(err)
	}
	b.lines.Write(line)
	b.lines.WriteByte('\n')
}

// warmUp is a few seconds of runs of one script.
func warmUp(t *testing.T) *batch {
	t.Helper()
	b := &batch{begin: time.Date(2026, 11, 23, 9, 0, 0, 0, time.UTC)}
	for i := range 100 {
		b.add(t, time.Duration(i)*100*time.Millisecond, "steady", flood(2*i+1))
	}
	return b
}
