package wire

import (
	"errors"

	"github.com/scriptfleet/scriptfleet/dispatcher"
	"github.com/scriptfleet/scriptfleet/pkg/registry"
	"github.com/scriptfleet/scriptfleet/pkg/registry/s3registry"
	"github.com/scriptfleet/scriptfleet/worker"
)

// ErrNoBucket is the error of settings without a bucket for scripts.
var ErrNoBucket = errors.New("no bucket is set, and the script registry is kept in it: give --bucket or SCRIPTFLEET_BUCKET, or take the environment that scriptfleet local prints")

// scripts is the store of the script registry; ok is false without a bucket.
func (f *Fleet) scripts() (store registry.Store, ok bool) {
	if f.Settings.Bucket == "" {
		return nil, false
	}
	return s3registry.New(f.s3, f.Settings.Bucket, f.Settings.Prefix+"/scripts"), true
}

// resolver resolves references to scripts; it is nil without a bucket.
func (f *Fleet) resolver() interface {
	dispatcher.Scripts
	worker.Scripts
} {
	if store, ok := f.scripts(); ok {
		return registry.NewResolver(store)
	}
	return nil
}

// Scripts is the script registry.
func (f *Fleet) Scripts() (*registry.Registry, error) {
	store, ok := f.scripts()
	if !ok {
		return nil, ErrNoBucket
	}
	return registry.New(store), nil
}
