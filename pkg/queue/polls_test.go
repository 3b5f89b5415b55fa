package queue_test

import (
	"testing"

	"github.com/scriptfleet/scriptfleet/pkg/queue"
)

func TestPollsGrowWhileTheyComeFullAndShrinkWhenTheyDoNot(t *testing.T) {
	p := queue.NewPolls(64)
	under := 1
	round := func(full bool) {
		for range under {
			under += p.Came(full)
		}
	}
	for i, want := range []int{4, 64, 64} {
		if round(true); under != want {
			t.Fatalf("after %d rounds that came full %d polls are under way, want %d", i+1, under, want)
		}
	}
	round(false)
	for ; under > 1; under-- {
		p.Ended()
	}
	if begin := p.Came(false); begin != 0 {
		t.Errorf("%d polls begin beside an empty queue", begin)
	}
	if begin := p.Came(true); begin != 3 {
		t.Errorf("%d polls begin after one that came full, want 3: what came before is over", begin)
	}
}

func TestOnePollThatCameFullAmongSomeThatDidNotIsNoBacklog(t *testing.T) {
	p := queue.NewPolls(64)
	p.Came(true) // 3 begin
	for range 10 {
		p.Came(false)
		if p.Came(true)+p.Came(false) > 0 {
			t.Fatal("polls begin")
		}
	}
}
