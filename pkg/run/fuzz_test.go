package run

import (
	"fmt"
	"strings"
	"testing"
)

// FuzzDecode checks that Decode never panics, that every refusal has a message,
// and that every accepted request passes the JSON Schema and decodes to the
// same run after it is encoded.
func FuzzDecode(f *testing.F) {
	f.Add([]byte(fullRequest))
	f.Add([]byte(event("type", `"scriptfleet.script.saved"`)))
	f.Add([]byte(`{"type":"scriptfleet.run.cancelled","tenant":"a","source":"/s","id":"c","data":{"run":"1"}}`))
	f.Add([]byte(`{"tenant":"a","tenant":"b","data":{"script":"\ud83d\ude00\\\"","input":{"a":[1,{"b":"]"}]}}}`))
	f.Add([]byte(" { } "))
	f.Add([]byte(event("data.requirements", `"a[b]>=1 ; os_name=='x' # c\n"`)))
	p, valid := testPolicy(f, PolicyConfig{}), schema(f, requestSchema)
	f.Fuzz(func(t *testing.T, body []byte) {
		r, bad := p.Decode(body, november)
		if bad != nil {
			if bad.Message == "" || bad.Type == "" || len(bad.Message) > 1000 || (r.Key != "") != r.Attributable() {
				t.Fatalf("refused with %+v, key %q", bad, r.Key)
			}
			return
		}
		if err := valid(body); err != nil {
			t.Fatalf("taken, though %v", err)
		}
		again, err := r.Request.Encode()
		if err != nil {
			t.Fatal(err)
		}
		same, bad := p.Decode(again, november)
		if bad != nil || same.Key != r.Key || same.Script != r.Script || string(same.Data.Input) != string(r.Data.Input) {
			t.Fatalf("decoded again: %v\n%+v\n%+v", bad, same, r)
		}
	})
}

func BenchmarkDecode(b *testing.B) {
	for _, size := range []int{2 << 10, 200 << 10} {
		line := "    total += input['n']  # some \\\"quoted\\\" comment\\n"
		script := `"def main(input):\n` + strings.Repeat(line, size/len(line)) + `"`
		body := `{"specversion":"1.0","type":"scriptfleet.run.requested","source":"/stories/s","id":"01JD","tenant":"acme","data":{"action":"a",
			"script":` + script + `,"requirements":"requests==2.32.3\nnumpy>=2,<3\n","input":{"url":"https://example.org","n":[1,2,3]},"timeout_seconds":10}}`
		p := testPolicy(b, PolicyConfig{})
		b.Run(fmt.Sprintf("%dKB", size>>10), func(b *testing.B) {
			b.SetBytes(int64(len(body)))
			b.ReportAllocs()
			for b.Loop() {
				if _, bad := p.Decode([]byte(body), november); bad != nil {
					b.Fatal(bad)
				}
			}
		})
	}
}

func BenchmarkEncodeResult(b *testing.B) {
	res := finished(b)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := res.Encode(); err != nil {
			b.Fatal(err)
		}
	}
}
