package wire

import (
	"context"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/scriptfleet/scriptfleet/dispatcher"
	"github.com/scriptfleet/scriptfleet/pkg/claimcheck"
	"github.com/scriptfleet/scriptfleet/pkg/config"
	"github.com/scriptfleet/scriptfleet/pkg/partition"
	"github.com/scriptfleet/scriptfleet/pkg/queue"
	"github.com/scriptfleet/scriptfleet/pkg/queue/sqsqueue"
)

// cells implements dispatcher.Cells by the settings.
type cells struct {
	own    string
	names  []string // the own one too
	others map[string]queue.Queue
}

// Of implements dispatcher.Cells.
func (c *cells) Of(tenant string) string {
	if cell := partition.Cell(tenant, c.names); cell != c.own {
		return cell
	}
	return ""
}

// Others implements dispatcher.Cells.
func (c *cells) Others() map[string]queue.Queue { return c.others }

// cells opens the requests queues of the other cells; it is nil if there is one
// cell.
func (f *Fleet) cells(ctx context.Context, d config.Dispatcher) (dispatcher.Cells, error) {
	urls, err := cellURLs(d.Cell, d.Cells)
	if err != nil || len(urls) == 0 {
		return nil, err
	}
	c := &cells{own: d.Cell, names: []string{d.Cell}, others: map[string]queue.Queue{}}
	for name, at := range urls {
		c.names = append(c.names, name)
		if c.others[name], err = f.openURL(ctx, at); err != nil {
			return nil, fmt.Errorf("cell %s: %w", name, err)
		}
	}
	slices.Sort(c.names)
	return c, nil
}

// cellURLs reads --cells.
func cellURLs(own string, others []string) (map[string]string, error) {
	if own == "" && len(others) == 0 {
		return nil, nil
	}
	if own == "" || len(others) == 0 {
		return nil, fmt.Errorf("--cell names this cell and --cells the others: give both, or none")
	}
	urls := map[string]string{}
	for _, other := range others {
		name, at, _ := strings.Cut(other, "=")
		u, err := url.Parse(at)
		switch {
		case name == "" || err != nil || u.Host == "" || strings.Trim(u.Path, "/") == "":
			return nil, fmt.Errorf("--cells=%s: give NAME=URL with the URL of the cell's requests queue, as in us=https://sqs.us-east-1.amazonaws.com/123456789012/scriptfleet-requests", other)
		case name == own:
			return nil, fmt.Errorf("--cells=%s: this is cell %s itself: name the other cells", other, own)
		case urls[name] != "":
			return nil, fmt.Errorf("--cells=%s: cell %s is there twice", other, name)
		}
		urls[name] = at
	}
	return urls, nil
}

var sqsHost = regexp.MustCompile(`^sqs\.([a-z0-9-]+)\.amazonaws\.com`)

// openURL opens the requests queue of another cell, in its region. Large bodies
// travel by this fleet's bucket, which the cells therefore share.
func (f *Fleet) openURL(ctx context.Context, at string) (queue.Queue, error) {
	client := f.sqs
	if u, err := url.Parse(at); err == nil {
		if region := sqsHost.FindStringSubmatch(u.Host); region != nil && region[1] != f.aws.Region {
			cfg := f.aws.Copy()
			cfg.Region = region[1]
			client = sqsqueue.NewClient(cfg)
		}
	}
	q, err := sqsqueue.OpenURL(ctx, client, at)
	if err != nil {
		return nil, err
	}
	return f.withBucket(q, claimcheck.Requests(f.Settings.Prefix)), nil
}
