package wire

import (
	"bytes"
	"context"
	"os"
	"time"

	"go.uber.org/zap"

	"github.com/scriptfleet/scriptfleet/pkg/claimcheck/s3store"
	"github.com/scriptfleet/scriptfleet/pkg/lasting"
	"github.com/scriptfleet/scriptfleet/pkg/runtimezip"
	"github.com/scriptfleet/scriptfleet/pkg/service"
)

// RuntimeZips are the ZIPs of custom runtimes; they have no store without a
// bucket.
func (f *Fleet) RuntimeZips() runtimezip.Zips {
	z := runtimezip.Zips{Prefix: f.Settings.Prefix}
	if f.Settings.Bucket != "" {
		z.Store = s3store.New(f.s3, f.Settings.Bucket)
	}
	return z
}

// runtimesEvery is how often the table of runtimes is read.
const runtimesEvery = time.Second

// FollowRuntimes is a part that offers the runtimes of the operator's table
// again when it changes. A faulty table changes nothing.
func (f *Fleet) FollowRuntimes() service.Part {
	return service.Part{Name: "table of runtimes", Run: func(intake, _ context.Context) error {
		if f.Settings.RuntimesFile == "" || f.Policy == nil {
			<-intake.Done()
			return nil
		}
		faults := lasting.New(f.Log, "the table of runtimes is faulty or missing; the last good one stays in use", "the table of runtimes is read again")
		tick := time.NewTicker(runtimesEvery)
		defer tick.Stop()
		var seen []byte
		for {
			select {
			case <-intake.Done():
				return nil
			case <-tick.C:
			}
			data, err := os.ReadFile(f.Settings.RuntimesFile)
			if err == nil && !bytes.Equal(data, seen) {
				if err = f.offer(); err == nil {
					seen = data
				}
			}
			if err != nil {
				faults.Met(err, zap.String("path", f.Settings.RuntimesFile))
			} else {
				faults.Over()
			}
		}
	}}
}

func (f *Fleet) offer() error {
	catalog, err := f.Settings.Catalog()
	if err != nil {
		return err
	}
	return f.Policy.Offer(catalog)
}
