package function

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/scriptfleet/scriptfleet/pkg/run"
)

// What Lambda answers in the handler's place, in its own words.
func TestReadJudgesLambdasOwnErrors(t *testing.T) {
	const id = "8f507cfc-example"
	for name, c := range map[string]struct {
		payload string
		plain   bool // of a script without requirements
		status  run.Status
		owner   run.Owner
		kind    string
	}{
		"timeout":                     {`{"errorType":"Sandbox.Timedout","errorMessage":"RequestId: 8f507cfc-example Error: Task timed out after 3.00 seconds"}`, false, run.TimedOut, run.OwnerAuthor, "Timeout"},
		"timeout, older":              {`{"errorMessage":"2026-11-23T09:00:00.000Z 8f507cfc-example Task timed out after 3.00 seconds"}`, false, run.TimedOut, run.OwnerAuthor, "Timeout"},
		"killed":                      {`{"errorType":"Runtime.ExitError","errorMessage":"RequestId: 8f507cfc-example Error: Runtime exited with error: signal: killed"}`, false, run.OutOfMemory, run.OwnerAuthor, "MemoryError"},
		"out of memory":               {`{"errorType":"Runtime.OutOfMemory","errorMessage":"RequestId: 8f507cfc-example Error: Runtime exited with error: signal: killed"}`, false, run.OutOfMemory, run.OwnerAuthor, "MemoryError"},
		"exit":                        {`{"errorType":"Runtime.ExitError","errorMessage":"RequestId: 8f507cfc-example Error: Runtime exited with error: exit status 3"}`, false, run.Failed, run.OwnerAuthor, "ExitError"},
		"exit with 0":                 {`{"errorType":"Runtime.ExitError","errorMessage":"RequestId: 8f507cfc-example Error: Runtime exited without providing a reason"}`, false, run.Failed, run.OwnerAuthor, "ExitError"},
		"crash":                       {`{"errorType":"Runtime.ExitError","errorMessage":"RequestId: 8f507cfc-example Error: Runtime exited with error: signal: segmentation fault"}`, false, run.Failed, run.OwnerAuthor, "ExitError"},
		"too large":                   {`{"errorType":"Function.ResponseSizeTooLarge","errorMessage":"Response payload size exceeded maximum allowed payload size (6291556 bytes)."}`, false, run.Failed, run.OwnerAuthor, "OutputTooLarge"},
		"backport":                    {`{"errorType":"Runtime.ImportModuleError","errorMessage":"Unable to import module 'scriptfleet_handler': cannot import name 'IntFlag'"}`, false, run.Failed, run.OwnerAuthor, "ImportModuleError"},
		"handler gone":                {`{"errorType":"Runtime.ImportModuleError","errorMessage":"Unable to import module 'scriptfleet_handler': No module named 'scriptfleet_handler'"}`, true, run.PlatformError, run.OwnerPlatform, "ImportModuleError"},
		"handler does not fit":        {`{"errorType":"Runtime.HandlerNotFound","errorMessage":"Handler 'handle' missing"}`, true, run.PlatformError, run.OwnerPlatform, "HandlerNotFound"},
		"syntax":                      {`{"errorType":"Runtime.UserCodeSyntaxError","errorMessage":"Syntax error in module"}`, true, run.PlatformError, run.OwnerPlatform, "UserCodeSyntaxError"},
		"handler raised":              {`{"errorType":"RecursionError","errorMessage":"maximum recursion depth","stackTrace":[]}`, false, run.Failed, run.OwnerAuthor, "PythonBroken"},
		"a thread's error":            {`{"errorType":"KeyError","errorMessage":"'x'"}`, true, run.Failed, run.OwnerAuthor, "PythonBroken"},
		"handler emptied":             {`{"errorType":"NameError","errorMessage":"name 'x' is not defined","stackTrace":["  File \"/var/task/scriptfleet_handler.py\", line 9, in handle\n"]}`, true, run.Failed, run.OwnerAuthor, "PythonBroken"},
		"no memory to answer":         {`{"errorType":"MemoryError","errorMessage":""}`, false, run.OutOfMemory, run.OwnerAuthor, "MemoryError"},
		"no form in JSON":             {`{"errorType":"Runtime.MarshalError","errorMessage":"Unable to marshal response: x"}`, false, run.Failed, run.OwnerAuthor, "OutputNotJSON"},
		"older backport":              {`{"errorType":"AttributeError","errorMessage":"module 'enum' has no attribute 'IntFlag'"}`, false, run.Failed, run.OwnerAuthor, "AttributeError"},
		"handler does not fit Python": {`{"errorType":"AttributeError","errorMessage":"module 'json' has no attribute 'encoder'"}`, true, run.PlatformError, run.OwnerPlatform, "AttributeError"},
		"no JSON":                     {`<html>`, false, run.PlatformError, run.OwnerPlatform, "FunctionFailed"},
		"nothing":                     {``, false, run.PlatformError, run.OwnerPlatform, "FunctionFailed"},
	} {
		t.Run(name, func(t *testing.T) {
			s := run.Script{TimeoutSeconds: 3, MemoryMB: 128, Requirements: "enum34==1.1.10"}
			if c.plain {
				s.Requirements = ""
			}
			o := Read(Invocation{Payload: []byte(c.payload), FunctionError: "Unhandled", RequestID: id}, s)
			if o.Status != c.status || o.Error == nil || o.Error.Owner != c.owner || o.Error.Type != c.kind || o.Error.Message == "" {
				t.Errorf("%s %+v, want %s of the %s's, type %s", o.Status, o.Error, c.status, c.owner, c.kind)
			}
			if string(o.Output) != "null" {
				t.Errorf("output %s of a run that failed", o.Output)
			}
		})
	}
}

func TestReadTakesTheOutputByteForByte(t *testing.T) {
	for _, output := range []string{`{"b": 1.50, "a":1E5,"a" : "\u00e9\ud800</>"}`, `12345678901234567890`, `null`, `""`, "[ ]"} {
		o := Read(Invocation{Payload: fmt.Appendf(nil, `{"output": %s, "error": null, "stdout": "", "stderr": "", "truncated": false}`, output)}, run.Script{})
		if o.Status != run.Succeeded || string(o.Output) != output || o.Error != nil {
			t.Errorf("%s became %s %s %v", output, o.Status, o.Output, o.Error)
		}
	}
}

func TestReadBlamesThePlatformForAnAnswerOfNobody(t *testing.T) {
	for _, payload := range []string{``, `null`, `{}`, `[]`, `"x"`, `{"output":1}`, `{"stdout":""}`, `{"stdout":1,"output":1}`, `{"output":1,"stdout":"","error":3}`, strings.Repeat("x", 100000)} {
		o := Read(Invocation{Payload: []byte(payload)}, run.Script{})
		if o.Status != run.PlatformError || o.Error == nil || o.Error.Owner != run.OwnerPlatform || len(o.Error.Message) > 1000 {
			t.Errorf("%.20s became %s %+v", payload, o.Status, o.Error)
		}
	}
}

func TestReadTellsLastWordsOnlyOfItsOwnRequest(t *testing.T) {
	inv := Invocation{
		FunctionError: "Unhandled",
		Payload:       []byte(`{"errorType":"Sandbox.Timedout","errorMessage":"Task timed out after 3.00 seconds"}`),
		LogTail: "START\n" + lastWordsMark + `{"request": "old", "stack": [["script.py", 2, "main"]], "stdout": "so far", "stderr": "", "truncated": true}` +
			"\nREPORT RequestId: new\tDuration: 3000.00 ms\tBilled Duration: 3000 ms\tMemory Size: 128 MB\tMax Memory Used: 30 MB\tInit Duration: 81.50 ms\t\n",
	}
	s := run.Script{TimeoutSeconds: 3, Source: "def main(input):\n  wait()\n"}
	inv.RequestID = "new"
	if o := Read(inv, s); o.Logs.Stdout != "" || o.Error.Traceback != "" {
		t.Errorf("another request's words: %+v", o)
	}
	inv.RequestID = "old"
	o := Read(inv, s)
	if o.Logs != (run.Logs{Stdout: "so far", Truncated: true}) {
		t.Errorf("logs %+v", o.Logs)
	}
	if want := "Traceback (most recent call last):\n  File \"script.py\", line 2, in main\n    wait()\n"; o.Error.Traceback != want {
		t.Errorf("traceback %q", o.Error.Traceback)
	}
	if o.Report != (Report{Duration: 3 * time.Second, Billed: 3 * time.Second, Init: 81500 * time.Microsecond, MaxMemoryMB: 30}) {
		t.Errorf("report %+v", o.Report)
	}
}

func TestParseReportLeavesOutWhatTheLineDoesNotSay(t *testing.T) {
	for tail, want := range map[string]Report{
		"": {},
		"REPORT RequestId: x\tDuration: 1.25 ms\tBilled Duration: 2 ms":                                                    {Duration: 1250 * time.Microsecond, Billed: 2 * time.Millisecond},
		"x\nREPORT RequestId: x\tDuration: -1 ms\tMax Memory Used: -5 MB\tInit Duration: NaN ms\tBilled Duration: 1e99 ms": {},
		"printed REPORT RequestId: x\tDuration: 9 ms":                                                                      {},
	} {
		if got := ParseReport(tail); got != want {
			t.Errorf("%q gave %+v, want %+v", tail, got, want)
		}
	}
}

func FuzzRead(f *testing.F) {
	f.Add([]byte(`{"output": {"a":1}, "error": null, "stdout": "x", "stderr": "", "truncated": false}`), "", "REPORT RequestId: x\tDuration: 1 ms")
	f.Add([]byte(`{"errorType":"Sandbox.Timedout"}`), "Unhandled", lastWordsMark+`{"request":"","stack":[["script.py",-1,"main"]]}`)
	f.Add([]byte(`{"errorType":"Sandbox.Timedout"}`), "Unhandled", "Timeout!\n  File \"script.py\", line 99999999999999999999 in f\n  File \"scriptfleet_handler.py\", line 1 in g\n")
	f.Add([]byte(`{"error":{"type":"MemoryError","line":-5},"stdout":""}`), "", "")
	f.Fuzz(func(t *testing.T, payload []byte, functionError, logTail string) {
		o := Read(Invocation{Payload: payload, FunctionError: functionError, LogTail: logTail}, run.Script{Source: "a\nb\n"})
		if (o.Status == run.Succeeded) != (o.Error == nil) {
			t.Fatalf("%s with error %v", o.Status, o.Error)
		}
		if !json.Valid(o.Output) {
			t.Fatalf("output %q is not JSON", o.Output)
		}
		if o.Error != nil && string(o.Output) != "null" {
			t.Fatalf("failed with output %s", o.Output)
		}
		if o.Report.Duration < 0 || o.Report.Init < 0 {
			t.Fatalf("negative times: %+v", o)
		}
		if o.Error != nil && utf8.Valid(payload) && utf8.ValidString(logTail) && !utf8.ValidString(o.Error.Message) {
			t.Fatalf("message %q is no text", o.Error.Message)
		}
	})
}

func TestPayloadCarriesTheInputByteForByte(t *testing.T) {
	body, err := Call{Input: json.RawMessage(`{"a":1.50,"b":"<\u00e9>"}`)}.Payload()
	if err != nil || !strings.Contains(string(body), `"input":{"a":1.50,"b":"<\u00e9>"}`) {
		t.Errorf("%s %v", body, err)
	}
	_, err = Call{Input: json.RawMessage(`{"a":"` + strings.Repeat("x", MaxPayloadBytes) + `"}`)}.Payload()
	if e, ok := err.(*run.Error); !ok || e.Type != "InputTooLarge" || e.Owner != run.OwnerAuthor {
		t.Errorf("7 MB of input: %v", err)
	}
}

func TestCredentialsAreNotShown(t *testing.T) {
	c := &Credentials{SecretAccessKey: "hush"}
	for _, format := range []string{"%v", "%+v", "%#v", "%s"} {
		if text := fmt.Sprintf(format, c) + fmt.Sprintf(format, *c) + fmt.Sprintf(format, Call{Credentials: c}); strings.Contains(text, "hush") {
			t.Errorf("%s shows %s", format, text)
		}
	}
}

func BenchmarkRead(b *testing.B) {
	inv := Invocation{Payload: []byte(`{"output": {"rows": [` + strings.Repeat(`{"id": 1, "name": "x"}, `, 100) + `{}]}, "error": null, "stdout": "hello\n", "stderr": "", "truncated": false}`),
		LogTail: "REPORT RequestId: x\tDuration: 1.25 ms\tBilled Duration: 2 ms\tMemory Size: 128 MB\tMax Memory Used: 30 MB"}
	b.ReportAllocs()
	for b.Loop() {
		if o := Read(inv, run.Script{}); o.Status != run.Succeeded {
			b.Fatal(o.Error)
		}
	}
}

// A class of a script's may have any name: what is ours is said, not guessed.
func TestReadTellsAnErrorOfTheScriptsFromOneOfOursByIdentity(t *testing.T) {
	for _, kind := range []string{"MemoryError", "SyntaxError", "MissingMain", "MainNotCallable", "MainTakesOtherArguments", "SystemExit", "OutputNotJSON", "OutputTooLarge", "CommandFailed", "Timeout", "ExitError", "PythonBroken"} {
		body := fmt.Sprintf(`{"output":null,"stdout":"","error":{"type":%q,"message":"mine","phase":"run","line":3}}`, kind)
		o := Read(Invocation{Payload: []byte(body)}, run.Script{MemoryMB: 128})
		if o.Status != run.Failed || o.Error.Message != "main raised "+kind+": mine (script.py, line 3)." {
			t.Errorf("%s: %s %+v", kind, o.Status, o.Error)
		}
	}
}
