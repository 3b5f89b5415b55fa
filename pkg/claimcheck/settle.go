package claimcheck

import (
	"context"
	"slices"
	"strings"
	"time"

	"go.uber.org/zap"

	"github.com/scriptfleet/scriptfleet/pkg/queue"
)

// keyEnd stands in a handle between the key of the body and the queue's own
// handle. Neither can have it.
const keyEnd = "\x00"

// Delete ends messages, and then removes the objects of those that are gone,
// where they are ours. An object that can't be removed is left over, and no
// error.
func (q *Queue) Delete(ctx context.Context, ds []queue.Delivery) []error {
	ds, keys := withoutKeys(ds)
	errs := q.Queue.Delete(ctx, ds)
	if q.cfg.Own && keys != nil {
		q.removeObjects(ctx, keys, errs)
	}
	return errs
}

// Extend makes the deliveries ours for visibility from now on.
func (q *Queue) Extend(ctx context.Context, ds []queue.Delivery, visibility time.Duration) []error {
	ds, _ = withoutKeys(ds)
	return q.Queue.Extend(ctx, ds, visibility)
}

func (q *Queue) removeObjects(ctx context.Context, keys []string, errs []error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), storeWithin)
	defer cancel()
	atOnce(len(keys), func(i int) {
		if keys[i] == "" || errs[i] != nil {
			return
		}
		if err := q.store.Delete(ctx, keys[i]); err != nil {
			q.cfg.Log.Warn("object left over", zap.String("queue", q.Name()), zap.String("key", keys[i]), zap.Error(err))
		}
	})
}

// withoutKeys gives deliveries the queue's own handles back, and tells the keys
// of their bodies; nil where none has one.
func withoutKeys(ds []queue.Delivery) ([]queue.Delivery, []string) {
	var keys []string
	for i := range ds {
		key, handle, found := strings.Cut(ds[i].Handle, keyEnd)
		if !found {
			continue
		}
		if keys == nil {
			ds, keys = slices.Clone(ds), make([]string, len(ds))
		}
		ds[i].Handle, keys[i] = handle, key
	}
	return ds, keys
}
