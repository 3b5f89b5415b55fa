package walls

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/scriptfleet/scriptfleet/pkg/fleettest"
	"github.com/scriptfleet/scriptfleet/pkg/run"
)

// telling is a script that hands its keys to the test, and waits while the test
// looks for them. Then it ends in the way that its input names.
const telling = `
import json, os, sys, time, urllib.request

def main(input):
    aws = input["AwsCredentials"]
    urllib.request.urlopen(urllib.request.Request(input["tell"], data=json.dumps(aws).encode())).read()
    print("before", input["mark"], input, flush=True)
    print(input, file=sys.stderr)
    if input["end"] == "raise": raise RuntimeError("with %s" % input)
    if input["end"] == "exit": sys.exit(str(input))
    if input["end"] == "sleep": time.sleep(60)
    if input["end"] == "die": os.kill(os.getpid(), 9)
    if input["end"] == "no JSON": return {"input": {aws["SessionToken"]}}
    return input["mark"]
`

// The keys of a credential are in no queue, no key of Redis, no log, no result,
// no metric and no file: not while their run is under way, and not after it, in
// whichever way it ends.
func TestTheKeysOfACredentialAreNowhere(t *testing.T) {
	const mark = "printed before the keys"
	for end, want := range map[string]run.Status{
		"return": run.Succeeded, "raise": run.Failed, "exit": run.Failed, "no JSON": run.Failed, "sleep": run.TimedOut, "die": run.Failed,
	} {
		t.Run(strings.ReplaceAll(end, " ", "_"), func(t *testing.T) {
			var keys given
			told := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				if err := json.NewDecoder(r.Body).Decode(&keys); err != nil {
					t.Error(err)
				}
				notThere(t, "while the run is under way", everywhere(t), keys)
			}))
			defer told.Close()
			timeout := 60
			if end == "sleep" {
				timeout = 5
			}
			res := runAs(t, tenantA, fleettest.Data{Script: telling, Credential: "prod", Timeout: timeout,
				Input: map[string]string{"tell": told.URL, "end": end, "mark": mark}})
			if res.Data.Status != want || !keys.Success || keys.SecretAccessKey == "" {
				t.Fatalf("the run told %v, and ended so: %s", keys.Success, res.Body)
			}
			if !strings.Contains(res.Data.Logs.Stdout, mark) && end != "die" {
				t.Errorf("the logs are not there: %s", res.Body)
			}
			places := everywhere(t)
			places["the result"] = res.Body
			notThere(t, "after the run", places, keys)
		})
	}
}

// What is looked for is found where it is: the same look finds a mark that a
// run's input carries through the same places.
func TestTheLookForKeysFindsWhatIsThere(t *testing.T) {
	const mark = "a-mark-that-may-be-found"
	found := map[string]bool{}
	told := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		for place, content := range everywhere(t) {
			if bytes.Contains(content, []byte(mark)) {
				found[strings.SplitN(place, " ", 2)[0]] = true
			}
		}
	}))
	defer told.Close()
	fleet.Send(t, fleettest.Request(tenantA, mark, fleettest.Data{Script: telling, Credential: "prod",
		Input: map[string]string{"tell": told.URL, "end": "return", "mark": mark}}))
	fleet.AwaitOf(t, tenantA, mark)
	for _, place := range []string{"file", "redis"} {
		if !found[place] {
			t.Errorf("the mark is not found in any %s: found in %v", place, found)
		}
	}
	if !bytes.Contains(everywhere(t)["metrics"], []byte("scriptfleet_credential_assumes_total")) {
		t.Error("the metrics are not read")
	}
	if !bytes.Contains(everywhere(t)["file log"], []byte(`"run"`)) {
		t.Error("the log is not read")
	}
}

// notThere fails if a place has a secret of the keys.
func notThere(t *testing.T, when string, places map[string][]byte, keys given) {
	t.Helper()
	if len(places) < 5 || len(keys.SecretAccessKey) < 30 || len(keys.SessionToken) < 30 {
		t.Errorf("%s: %d places, and keys of %d and %d characters", when, len(places), len(keys.SecretAccessKey), len(keys.SessionToken))
	}
	for place, content := range places {
		for what, secret := range map[string]string{"secret": keys.SecretAccessKey, "token": keys.SessionToken, "external ID": "aaaaaaaaaaaaaaaaaaaa"} {
			if bytes.Contains(content, []byte(secret)) && (what != "external ID" || place == "the result") {
				t.Errorf("%s: %s has the %s", when, place, what)
			}
		}
	}
}

// everywhere is the content of all places in which the fleet keeps something,
// by name: its files (queues, functions and objects are in the data folder, and
// its log), every key of Redis, its metrics, its command line and environment.
func everywhere(t *testing.T) map[string][]byte {
	t.Helper()
	places := map[string][]byte{}
	err := filepath.WalkDir(fleet.dir, func(path string, d fs.DirEntry, err error) error {
		name, _ := filepath.Rel(fleet.dir, path)
		switch {
		case err != nil: // it is gone already
			return nil
		case d.IsDir() && (name == "bin" || strings.HasPrefix(name, "cache")):
			return fs.SkipDir
		case d.Type().IsRegular():
			places["file "+name], _ = os.ReadFile(path)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
	opts, err := redis.ParseURL(fleet.set["REDIS_URL"])
	if err != nil {
		t.Fatal(err)
	}
	client := redis.NewClient(opts)
	defer client.Close()
	if err := client.ConfigSet(t.Context(), "rdbcompression", "no").Err(); err != nil { // of dumps too
		t.Fatal(err)
	}
	for keys := client.Scan(t.Context(), 0, "*", 1000).Iterator(); keys.Next(t.Context()); {
		content, err := client.Dump(t.Context(), keys.Val()).Result()
		if err != nil && err != redis.Nil {
			t.Error(err)
		}
		places["redis "+keys.Val()] = append([]byte(keys.Val()), content...)
	}
	places["metrics"] = metrics(t)
	for _, of := range []string{"cmdline", "environ"} {
		if places["process "+of], err = os.ReadFile(fmt.Sprintf("/proc/%d/%s", fleet.PID, of)); err != nil {
			t.Error(err)
		}
	}
	return places
}

// metrics are all metrics of the fleet's process.
func metrics(t *testing.T) []byte {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+fleet.admin+"/metrics", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.SetBasicAuth(fleet.set["AWS_ACCESS_KEY_ID"], fleet.set["AWS_SECRET_ACCESS_KEY"])
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("the metrics answer %s, %v", resp.Status, err)
	}
	return text
}
