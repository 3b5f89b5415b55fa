package redisrecords

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

// patience is how long Redis has to confirm the subscription, before Watch
// fails.
const patience = 250 * time.Millisecond

// watchers passes the signals of one Redis channel on to the watches.
type watchers struct {
	rdb     redis.UniversalClient
	channel string

	mu         sync.Mutex
	byHash     map[string]map[chan struct{}]struct{}
	sub        *redis.PubSub // nil before the first watch
	begun      time.Time     // when Redis was asked for it
	subscribed chan struct{} // closed once Redis has confirmed the subscription
	ended      chan struct{} // closed when read has returned
	closed     bool
}

func newWatchers(rdb redis.UniversalClient, channel string) *watchers {
	return &watchers{
		rdb: rdb, channel: channel,
		byHash:     make(map[string]map[chan struct{}]struct{}),
		subscribed: make(chan struct{}), ended: make(chan struct{}),
	}
}

// Watch implements builds.Records.
func (w *watchers) Watch(ctx context.Context, hash string) (<-chan struct{}, func(), error) {
	if err := w.subscribe(); err != nil {
		return nil, nil, err
	}
	if err := w.confirmed(ctx); err != nil {
		return nil, nil, fmt.Errorf("watch build record %s: %w", hash, err)
	}
	c := make(chan struct{}, 1)
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.byHash[hash] == nil {
		w.byHash[hash] = make(map[chan struct{}]struct{})
	}
	w.byHash[hash][c] = struct{}{}
	return c, func() { w.unwatch(hash, c) }, nil
}

// confirmed returns nil once Redis has confirmed the subscription. It waits for
// patience after the first watch, and not at all for those that come later.
func (w *watchers) confirmed(ctx context.Context) error {
	w.mu.Lock()
	late := time.NewTimer(max(0, time.Until(w.begun.Add(patience))))
	w.mu.Unlock()
	defer late.Stop()
	select {
	case <-w.subscribed:
		return nil
	default:
	}
	select {
	case <-w.subscribed:
		return nil
	case <-late.C:
		return fmt.Errorf("no subscription within %s", patience)
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (w *watchers) unwatch(hash string, c chan struct{}) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.byHash[hash], c)
	if len(w.byHash[hash]) == 0 {
		delete(w.byHash, hash)
	}
}

// Close ends the subscription. Later calls of Watch fail.
func (w *watchers) Close() error {
	w.mu.Lock()
	sub := w.sub
	w.closed = true
	w.mu.Unlock()
	if sub == nil {
		return nil
	}
	err := sub.Close()
	<-w.ended
	return err
}

func (w *watchers) subscribe() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return fmt.Errorf("watch build record: closed")
	}
	if w.sub == nil {
		w.begun = time.Now()
		w.sub = w.rdb.Subscribe(context.Background(), w.channel)
		go w.read(w.sub)
	}
	return nil
}

// read passes signals on until the subscription is closed. The Redis client
// reconnects by itself. Signals sent while it was disconnected are lost, so
// read signals every watch after each reconnection.
func (w *watchers) read(sub *redis.PubSub) {
	defer close(w.ended)
	var once sync.Once
	for m := range sub.ChannelWithSubscriptions() {
		switch m := m.(type) {
		case *redis.Subscription:
			w.tellAll()
			once.Do(func() { close(w.subscribed) })
		case *redis.Message:
			w.tell(m.Payload)
		}
	}
}

func (w *watchers) tell(hash string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for c := range w.byHash[hash] {
		signal(c)
	}
}

func (w *watchers) tellAll() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, cs := range w.byHash {
		for c := range cs {
			signal(c)
		}
	}
}

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default: // a signal is pending already
	}
}
