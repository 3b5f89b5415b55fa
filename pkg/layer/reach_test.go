package layer

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/scriptfleet/scriptfleet/pkg/run"
)

func TestIndexThatAnswersAnythingCanBeReached(t *testing.T) {
	index := httptest.NewServer(http.NotFoundHandler())
	defer index.Close()
	b := &Builder{installer: installer{index: indexSettings{}.only(index.URL)}}
	if err := b.ReachIndex(t.Context()); err != nil {
		t.Error(err)
	}
	index.Close()
	err := b.ReachIndex(t.Context())
	if host := strings.TrimPrefix(index.URL, "http://"); err == nil || !strings.Contains(err.Error(), host) {
		t.Errorf("of an index that is gone: %v", err)
	}
}

func TestBuilderTellsWhichLayersItHas(t *testing.T) {
	b := &Builder{cache: testCache(t, t.TempDir(), 1<<20)}
	if b.Has("kept") {
		t.Error("it has what nobody put there")
	}
	if err := b.cache.put(run.EnvHash("kept"), someLayer('x', 100)); err != nil {
		t.Fatal(err)
	}
	if !b.Has("kept") {
		t.Error("it lacks what was put there")
	}
}
