package chaos

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

func diskFaults() []fault {
	return []fault{
		{name: "a corrupt layer in the cache", play: corruptLayer},
		{name: "a full disk under the layers", play: fullDisk, ends: []string{"DiskFull"}},
	}
}

// corruptLayer lets another fleet build the layer, overwrites parts of its
// cache's files, and gives that cache to this fleet.
func corruptLayer(t *testing.T, f *fleet) {
	t.Helper()
	dir := t.TempDir()
	other := newFleet(t)
	other.dispatcher()
	other.worker("--cache-dir", dir)
	p := plan{runs: 2, scripts: 1, envs: 1}
	other.send(p)
	other.await(0)
	other.stop()

	kept, err := filepath.Glob(filepath.Join(dir, "*.layer"))
	if err != nil || len(kept) != 1 {
		t.Fatalf("%d layers are kept, and not one: %v", len(kept), err)
	}
	file, err := os.OpenFile(kept[0], os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	info, err := file.Stat()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := file.WriteAt([]byte("chaos"), info.Size()/2); err != nil {
		t.Fatal(err)
	}
	if err := file.Close(); err != nil {
		t.Fatal(err)
	}

	f.dispatcher()
	f.worker("--cache-dir", dir)
	f.send(plan{runs: 24, scripts: 2, envs: 2, imports: true})
}

// fullDisk gives a worker a file system of 64 KiB for its layers, in its own
// mount namespace. Runs with requirements end with an error for the operator;
// later a worker with enough space builds the same requirements.
func fullDisk(t *testing.T, f *fleet) {
	t.Helper()
	dir := t.TempDir()
	unshare := []string{"unshare", "--mount"}
	if os.Geteuid() != 0 {
		unshare = append(unshare, "--user", "--map-root-user")
	}
	f.dispatcher()
	full := f.startUnder(append(unshare, "sh", "-c", `mount -t tmpfs -o size=64k tmpfs "$0" && exec "$@"`, dir),
		"worker", "--cache-dir", dir)
	p := plan{runs: 12, scripts: 2, envs: 1, imports: true}
	f.send(p)
	f.await(0)
	failed := 0
	for _, e := range f.ended {
		if e.Data.Error != nil && e.Data.Error.Type == "DiskFull" {
			failed++
		}
	}
	if failed != p.runs/2 {
		t.Errorf("%d runs failed for want of room, and %d needed it", failed, p.runs/2)
	}
	full.Terminate()
	f.worker()
	last(t, remembered)
	f.send(p)
	f.await(0)
}

// remembered is how long a build failure that a retry may mend is kept, and
// some slack.
const remembered = 6 * time.Second
