package dispatcher

import (
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/scriptfleet/scriptfleet/pkg/partition"
	"github.com/scriptfleet/scriptfleet/pkg/queue"
)

// paths are the routes of a test.
type paths struct {
	backlog bool
	gone    int // a partition that is away; -1 for none
}

func (p *paths) high() bool        { return p.backlog }
func (p *paths) away(of int) bool  { return of == p.gone }
func (p *paths) fails(of int) bool { return of == p.gone }

// sentBy routes a run of each tenant in turn, n in all, and returns the
// partitions that got any.
func (p *paths) sentBy(r *router, n int, tenants ...string) (used []int) {
	for of := range r.depths {
		r.saw(of, queue.Depth{})
	}
	for i := range n {
		if to := r.choose(tenants[i%len(tenants)], 2); !slices.Contains(used, to) {
			used = append(used, to)
		}
	}
	slices.Sort(used)
	return used
}

func TestPartitionsAreUsedAsTheLoadNeedsThem(t *testing.T) {
	tenants := make([]string, 50)
	for i := range tenants {
		tenants[i] = fmt.Sprint("tenant-", i)
	}
	synctest.Test(t, func(t *testing.T) {
		p := &paths{gone: -1}
		r := newRouter(8, p)
		if used := p.sentBy(r, 100, tenants...); !slices.Equal(used, []int{0}) {
			t.Errorf("at a low load the partitions %v are used", used)
		}
		time.Sleep(useFor)
		p.sentBy(r, 3*perPartition, tenants...)
		time.Sleep(useFor)
		if used := p.sentBy(r, 100, tenants...); len(used) != 4 {
			t.Errorf("at %d runs a second the partitions %v are used", 3*perPartition, used)
		}
		time.Sleep(useFor)
		p.backlog = true
		if used := p.sentBy(r, 100, tenants...); len(used) != 8 {
			t.Errorf("beside a high backlog only the partitions %v are used", used)
		}
		p.backlog = false
		time.Sleep(useFor)
		p.gone = 0
		if used := p.sentBy(r, 100, tenants...); len(used) != 7 {
			t.Errorf("while partition 0 is away the partitions %v are used", used)
		}
	})
}

func TestRunsOfATenantGoToTheEmptierOfItsPartitionsAndToNoOther(t *testing.T) {
	shard := partition.Shard("acme", 8, 2)
	p := &paths{backlog: true, gone: -1}
	r := newRouter(8, p)
	want := slices.Sorted(slices.Values(shard))
	if used := p.sentBy(r, 40, "acme"); !slices.Equal(used, want) || r.depths[shard[0]] != 20 {
		t.Errorf("the partitions %v of the shard %v are used, with depths %v", used, shard, r.depths)
	}
	r.saw(shard[0], queue.Depth{})
	for range 15 {
		if to := r.choose("acme", 2); to != shard[0] {
			t.Errorf("the partition %d is chosen, and not the emptied one %d", to, shard[0])
		}
	}
	p.gone = shard[0]
	if used := p.sentBy(r, 100, "acme"); !slices.Equal(used, shard[1:]) {
		t.Errorf("the partitions %v are used, and not the one that is left, %d", used, shard[1])
	}
}
