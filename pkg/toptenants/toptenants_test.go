package toptenants_test

import (
	"fmt"
	"maps"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/scriptfleet/scriptfleet/pkg/toptenants"
)

// counter stands for a metric with a label for tenants.
type counter struct {
	*toptenants.Table
	series map[string]float64
	begun  int // series, those of a label that came again too
}

func newCounter() *counter {
	c := &counter{series: map[string]float64{}}
	c.Table = toptenants.New(func(label string) { delete(c.series, label) })
	return c
}

func (c *counter) uses(tenant string, n float64) {
	c.Count(tenant, n, func(label string) {
		if _, there := c.series[label]; !there {
			c.begun++
		}
		c.series[label] += n
	})
}

func TestAHundredThousandTenantsHaveABoundedNumberOfSeries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCounter()
		total := 0.0
		for i := range 100_000 {
			c.uses(fmt.Sprint("tenant-", i), 1)
			total++
			if len(c.series) > toptenants.Size+1 {
				t.Fatalf("%d series after %d tenants", len(c.series), i+1)
			}
		}
		if got := c.series[toptenants.Other]; got != total-toptenants.Size {
			t.Errorf("%.0f counted for others, of %.0f", got, total)
		}
	})
}

func TestATenantThatUsesMoreGetsAPlaceAndKeepsIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCounter()
		for i := range toptenants.Size {
			c.uses(fmt.Sprint("early-", i), 10)
		}
		c.uses("flood", 1000)
		if c.series["flood"] != 0 || c.series[toptenants.Other] != 1000 {
			t.Errorf("before a review: %v", c.series)
		}
		time.Sleep(time.Minute)
		c.uses("flood", 1000)
		if c.series["flood"] != 1000 || len(c.series) != toptenants.Size+1 {
			t.Errorf("after a review: %v", c.series)
		}
		before := c.begun
		for range 30 { // tenants that use about the same change no places
			time.Sleep(time.Minute)
			for i := range toptenants.Size - 1 {
				c.uses(fmt.Sprint("early-", i), 10)
				c.uses(fmt.Sprint("late-", i), 12)
			}
			c.uses("flood", 1000)
		}
		if c.begun != before+1 { // the place of the one early tenant that has stopped
			t.Errorf("%d series were begun", c.begun-before)
		}
	})
}

func TestAnIdleTenantLosesItsSeries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCounter()
		c.uses("gone", 100)
		for range 31 {
			time.Sleep(time.Minute)
			c.uses("busy", 1)
		}
		if got := slices.Collect(maps.Keys(c.series)); !slices.Equal(got, []string{"busy"}) {
			t.Errorf("series of %v", got)
		}
	})
}

func TestFiguresOfTenantsWithoutAPlaceAreSummed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCounter()
		c.uses("a", 1)
		c.uses("b", 1)
		want := map[string]float64{"a": 3, "b": 0, toptenants.Other: 7}
		if got := c.Sum(map[string]float64{"a": 3, "x": 5, "y": 2}); !maps.Equal(got, want) {
			t.Errorf("%v", got)
		}
	})
}

func BenchmarkCount(b *testing.B) {
	c := newCounter()
	names := make([]string, 1000)
	for i := range names {
		names[i] = fmt.Sprint("tenant-", i)
	}
	for i := 0; b.Loop(); i++ {
		c.uses(names[i%len(names)], 1)
	}
}
