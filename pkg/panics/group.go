package panics

import (
	"sync"

	"golang.org/x/sync/errgroup"
)

// Group is an errgroup.Group. If one of its functions panics, Wait panics with
// its *Error, so that the Guard of the waiting goroutine also covers the
// goroutines of the Group. The zero Group is ready.
type Group struct {
	group errgroup.Group
	once  sync.Once
	first *Error
}

// SetLimit bounds how many functions run at a time; see errgroup.Group.
func (g *Group) SetLimit(n int) { g.group.SetLimit(n) }

// Go calls f in a goroutine of its own.
func (g *Group) Go(f func() error) {
	g.group.Go(func() (err error) {
		if p := Catch(func() { err = f() }); p != nil {
			g.once.Do(func() { g.first = p })
		}
		return err
	})
}

// Wait returns the first error once all functions have ended.
func (g *Group) Wait() error {
	err := g.group.Wait()
	if g.first != nil {
		panic(g.first)
	}
	return err
}
