package function

import (
	"bytes"
	"encoding/json"
	"fmt"

	"github.com/scriptfleet/scriptfleet/pkg/run"
)

// MaxPayloadBytes is Lambda's limit on the request and on the response of a
// synchronous invocation, 6 MiB each.
const MaxPayloadBytes = 6 << 20

// maxLogBytes bounds stdout and stderr in an answer, 64 KiB each.
const maxLogBytes = 64 << 10

// Call holds the arguments of one invocation of a script.
type Call struct {
	Input       json.RawMessage // a JSON object; empty means {}
	Credentials *Credentials    // nil where the request names none

	// Script is set for a call of an env runner, which executes it; nil for a
	// call of the script's own function.
	Script *run.Script
}

// Credentials is the value of input["AwsCredentials"] in a script: the keys, or
// the sentence that says why there are none and who can mend it.
type Credentials struct {
	Success         bool   `json:"Success"`
	AccessKeyID     string `json:"AccessKeyId,omitempty"`
	SecretAccessKey string `json:"SecretAccessKey,omitempty"`
	SessionToken    string `json:"SessionToken,omitempty"`
	Expiration      string `json:"Expiration,omitempty"` // in UTC, as STS writes it: 2026-11-23T09:00:00Z
	Error           string `json:"Error,omitempty"`
}

// String keeps credentials out of logs.
func (Credentials) String() string { return "[credentials]" }

// GoString keeps credentials out of logs.
func (Credentials) GoString() string { return "[credentials]" }

type payload struct {
	Input       json.RawMessage `json:"input"`
	Credentials *Credentials    `json:"credentials,omitempty"`
	StdoutBytes int             `json:"stdout_bytes"`
	StderrBytes int             `json:"stderr_bytes"`
	Script      *givenScript    `json:"script,omitempty"`
}

// givenScript is the script in the payload of an env runner.
type givenScript struct {
	Source         string         `json:"source"`
	Hash           run.ScriptHash `json:"hash"` // which the runner computes again
	TimeoutSeconds int            `json:"timeout_seconds"`
	Sealed         bool           `json:"sealed"`
}

// Payload encodes the call as JSON for the handler. Where it would exceed
// MaxPayloadBytes, it fails with a *run.Error, or with the class NotTaken if it
// is for an env runner.
func (c Call) Payload() ([]byte, error) {
	p := payload{Input: c.Input, Credentials: c.Credentials, StdoutBytes: maxLogBytes, StderrBytes: maxLogBytes}
	if s := c.Script; s != nil {
		p.Script = &givenScript{Source: s.Source, Hash: s.Hash, TimeoutSeconds: s.TimeoutSeconds, Sealed: s.Sealed}
	}
	if len(p.Input) == 0 {
		p.Input = json.RawMessage("{}")
	}
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false) // each < would become six bytes
	if err := encoder.Encode(p); err != nil {
		return nil, fmt.Errorf("encode invocation: %w", err)
	}
	body := bytes.TrimSuffix(out.Bytes(), []byte("\n"))
	if len(body) > MaxPayloadBytes && c.Script != nil {
		return nil, &Error{Class: NotTaken, Op: "Invoke", Name: "env runner", Reason: "PayloadTooLarge",
			Err: fmt.Errorf("the input and the script make %d bytes, of %d at most", len(body), MaxPayloadBytes)}
	}
	if len(body) > MaxPayloadBytes {
		return nil, &run.Error{Owner: run.OwnerAuthor, Type: "InputTooLarge", Field: "data.input",
			Message: fmt.Sprintf("data.input makes an invocation of %d bytes, and a function takes %d at most: pass less, or pass a reference to it.",
				len(body), MaxPayloadBytes)}
	}
	return body, nil
}
