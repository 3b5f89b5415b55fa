package fleettest

import (
	"context"
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"

	"github.com/scriptfleet/scriptfleet/pkg/client"
	"github.com/scriptfleet/scriptfleet/pkg/run"
)

// A story in Python, and then one in Go with a body that is too large for a
// queue in both directions.
func TestStoriesRunScriptsByTheirPublicMeans(t *testing.T) {
	t.Parallel()
	f := launchFleet(t)
	python := output(t, f.env(), tool(t, "python"), filepath.Join("..", "client", "story.py"))
	if !strings.HasSuffix(python, " succeeded 42") {
		t.Errorf("story.py printed %q", python)
	}

	ctx, stop := context.WithTimeout(t.Context(), Within)
	defer stop()
	if _, err := client.Open(ctx, f.set.Config(), client.Options{Prefix: "other"}); err == nil ||
		!strings.Contains(err.Error(), "other-requests") || !strings.Contains(err.Error(), "prefix") {
		t.Errorf("with another prefix Open says %v", err)
	}
	c, err := client.Open(ctx, f.set.Config(), client.Options{Bucket: f.set["SCRIPTFLEET_BUCKET"]})
	if err != nil {
		t.Fatal(err)
	}
	c.Report = func(err error) { t.Error(err) }
	const large = 1 << 20
	input, err := json.Marshal(map[string]string{"text": strings.Repeat("x", large)})
	if err != nil {
		t.Fatal(err)
	}
	for _, err := range c.Send(ctx, run.Request{
		Tenant: "acme", Source: "/stories/go", ID: "large",
		Data: run.RequestData{Script: "def main(input):\n    return input['text'] + 'y'", Input: input},
	}) {
		if err != nil {
			t.Fatal(err)
		}
	}
	var got client.Received
	err = c.Consume(ctx, client.Once(client.Recent(10), func(_ context.Context, r client.Received) error {
		got = r
		stop()
		return nil
	}))
	if err != nil || got.Subject != "large" || got.Data.Status != run.Succeeded || len(got.Data.Output) != large+len(`"y"`) {
		t.Errorf("%v: %s is %s with %d bytes", err, got.Subject, got.Data.Status, len(got.Data.Output))
	}
}
