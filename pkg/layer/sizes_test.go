package layer

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/scriptfleet/scriptfleet/pkg/fleettest/pypitest"
	"github.com/scriptfleet/scriptfleet/pkg/run"
)

func TestDownloadsAreAddedUp(t *testing.T) {
	stopped := false
	s := newSizes(100<<20, func(error) { stopped = true })
	for _, line := range []string{"Downloading numpy (15.0MiB)", "  Downloading torch-2.5.0-cp313-cp313-manylinux1_x86_64.whl (80.4 MB)", "Downloading numpy (15.0MiB)", " Downloaded numpy"} {
		s.read(line)
	}
	if top := s.largest(); stopped || len(top) != 2 || top[0].name != "torch" || top[0].bytes != 80_400_000 || top[1].bytes != 15<<20 {
		t.Errorf("stopped %v, largest %v", stopped, s.largest())
	}
	s.read("Downloading scipy (35.0MiB)")
	if !stopped {
		t.Error("more than the limit was not stopped")
	}
}

const (
	pipSearches = "INFO: pip is looking at multiple versions of boto3 to determine which version is compatible with other requirements. This could take a while."
	pipInstalls = "Installing collected packages: boto3"
)

func TestASearchForVersionsIsStoppedInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, stop := context.WithCancelCause(t.Context())
		s := newSizes(10<<20, stop)
		s.read("  Downloading boto3-1.44.8-py3-none-any.whl (140 kB)")
		s.read(pipSearches)
		for n := range 60 { // together they exceed the limit, each of them does not
			s.read(fmt.Sprintf("  Downloading boto3-1.43.%d-py3-none-any.whl (9.0 MB)", n))
			s.read(fmt.Sprintf("  Downloading aiobotocore-1.%d-py3-none-any.whl (9.0 MB)", n/2))
		}
		time.Sleep(searchTimeout - time.Nanosecond)
		if ctx.Err() != nil {
			t.Fatalf("stopped early: %v", context.Cause(ctx))
		}
		time.Sleep(2 * time.Nanosecond)
		b := &Builder{}
		e := wantError(t, b.blame(t.Context(), context.Cause(ctx), run.Script{}, s), TypeRequirementConflict, run.OwnerAuthor, true)
		if !strings.Contains(e.Message, "61 of boto3, 60 of aiobotocore") {
			t.Error(e.Message)
		}
	})
}

func TestASearchThatEndedIsNotStopped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, stop := context.WithCancelCause(t.Context())
		s := newSizes(10<<20, stop)
		s.read(pipSearches)
		s.read(pipInstalls)
		time.Sleep(2 * searchTimeout)
		if ctx.Err() != nil {
			t.Errorf("stopped: %v", context.Cause(ctx))
		}
	})
}

// TestVersionsThatPipOnlyTriesTakeNoRoomInALayer has pip download 14 times the
// limit of a layer before it finds that nothing fits.
func TestVersionsThatPipOnlyTriesTakeNoRoomInALayer(t *testing.T) {
	t.Parallel()
	const limit = 8 << 20
	noise := make([]byte, 7<<20)
	_, _ = rand.Read(noise)
	wheels := []pypitest.Wheel{{Name: "base", Version: "1"}, {Name: "base", Version: "2"}}
	for n := range 16 {
		wheels = append(wheels, pypitest.Wheel{Name: "wide", Version: fmt.Sprintf("1.%d", n), Requires: []string{"base<2"}, Files: map[string]string{"wide.bin": string(noise)}})
	}
	b := builder(t, Config{UV: NoUV, Index: pypitest.Serve(t, wheels...), MaxUnpackedBytes: limit})
	l, err := b.Layer(t.Context(), script(t, python(t), "wide>=1", "base==2"))
	var e *run.Error
	if !errors.As(err, &e) || e.Type != TypeRequirementConflict || !strings.Contains(e.Message, "wide 1.15 needs base<2 (none of the 16 versions") {
		t.Errorf("got %v\n%s", err, l.Log)
	}
}
