package layer

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/scriptfleet/scriptfleet/pkg/run"
)

// Has tells whether an env's layer is in the cache.
func (b *Builder) Has(env run.EnvHash) bool {
	_, err := os.Stat(b.cache.path(env))
	return err == nil
}

// reachWithin bounds the wait for the package index in ReachIndex.
const reachWithin = 5 * time.Second

// ReachIndex fails if no package index can be connected to. Whatever an index
// answers, a refused certificate or password included, it can be.
func (b *Builder) ReachIndex(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, reachWithin)
	defer cancel()
	urls := b.installer.index.urls()
	if len(urls) == 0 {
		urls = []string{"https://pypi.org/simple/"}
	}
	var all []error
	for _, url := range urls {
		r, err := http.NewRequestWithContext(ctx, http.MethodHead, indexName.ReplaceAllString(url, ""), nil)
		if err != nil {
			return nil // the first build says what is wrong with the setting
		}
		res, err := http.DefaultClient.Do(r)
		if err == nil {
			_ = res.Body.Close()
			return nil
		}
		var dial *net.OpError
		if !errors.As(err, &dial) && ctx.Err() == nil {
			return nil
		}
		all = append(all, fmt.Errorf("connect to %s: %w", r.URL.Host, errors.Unwrap(err)))
	}
	return errors.Join(all...)
}
