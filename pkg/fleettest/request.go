package fleettest

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/scriptfleet/scriptfleet/pkg/run"
)

// Story is the source of the tests' requests.
const Story = "/stories/test"

// Data is the data of a request; empty fields are left out.
type Data struct {
	Script       string `json:"script,omitempty"`
	ScriptRef    string `json:"script_ref,omitempty"`
	Caller       string `json:"caller,omitempty"`
	Runtime      string `json:"runtime,omitempty"`
	Requirements string `json:"requirements,omitempty"`
	Input        any    `json:"input,omitempty"`
	Timeout      int    `json:"timeout_seconds,omitempty"`
	Credential   string `json:"credential,omitempty"`
	Delivery     string `json:"delivery,omitempty"`
	Action       string `json:"action,omitempty"`
	Run          string `json:"run,omitempty"`
}

// Request is the event that asks for a run.
func Request(tenant, id string, d Data) string { return RequestFrom(Story, tenant, id, d) }

// RequestFrom asks for a run on behalf of another story.
func RequestFrom(story, tenant, id string, d Data) string {
	return Event(run.TypeRequested, tenant, story, id, encode(d))
}

// Cancel is the event that cancels the run of a request.
func Cancel(tenant, id, request string) string {
	return Event(run.TypeCancelled, tenant, Story, id, encode(Data{Run: request}))
}

// Event is the envelope with any data, also invalid data.
func Event(kind, tenant, source, id, data string) string {
	return fmt.Sprintf(`{"specversion":"1.0","type":%s,"source":%s,"id":%s,"tenant":%s,"data":%s}`,
		encode(kind), encode(source), encode(id), encode(tenant), data)
}

// encode escapes only characters that no queue accepts.
func encode(v any) string {
	var b strings.Builder
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		panic(err) // the tests' own literals
	}
	return strings.ReplaceAll(strings.TrimSuffix(b.String(), "\n"), "\ufffe", `\ufffe`)
}
