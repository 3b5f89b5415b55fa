package embedded

import (
	"context"
	"fmt"
	"strings"
	"sync"

	"go.uber.org/zap"

	"github.com/scriptfleet/scriptfleet/pkg/config"
	"github.com/scriptfleet/scriptfleet/pkg/interpreter"
	"github.com/scriptfleet/scriptfleet/pkg/layer"
	"github.com/scriptfleet/scriptfleet/pkg/run"
)

// boto3 is the version that functions find, as Lambda's Python runtimes contain
// one. On Lambda the version depends on runtime and region, and changes; a
// script that needs a particular version must require it.
const boto3 = "1.40.4"

// sdkSource builds boto3's layer in the same way as layers of scripts: with the
// same installer, index, sandbox and cache.
type sdkSource struct {
	open func() (*layer.Builder, error)
	log  *zap.Logger
}

func newSDKSource(f config.Fleet, w config.Worker, log *zap.Logger) sdkSource {
	return sdkSource{log: log, open: sync.OnceValues(func() (*layer.Builder, error) {
		interpreters, err := interpreter.Default(context.Background())
		if err != nil {
			return nil, fmt.Errorf("find Python: %w", err)
		}
		return layer.New(layer.Config{CacheDir: w.CacheDir, UV: w.UV, Index: f.Index}, layer.Deps{Log: log, Interpreters: interpreters})
	})}
}

// build implements localaws.Config.SDK.
func (s sdkSource) build(ctx context.Context, runtime string) ([]byte, error) {
	builder, err := s.open()
	if err != nil {
		return nil, err
	}
	offer, ok := run.Runtimes().Find(runtime)
	if !ok {
		return nil, fmt.Errorf("no runtime is called %s", runtime)
	}
	built, err := builder.Layer(ctx, run.Script{Runtime: offer.Runtime, Requirements: "boto3==" + boto3, EnvHash: sdkHash(runtime)})
	return built.Zip, err
}

func sdkHash(runtime string) run.EnvHash {
	return run.EnvHash(strings.ReplaceAll("boto3"+boto3+runtime, ".", "x"))
}

// tellIfMissing logs once if scripts will not find boto3: no runtime has its
// layer in the cache, and the package index does not answer.
func (s sdkSource) tellIfMissing(ctx context.Context) {
	builder, err := s.open()
	if err != nil {
		return // the stack logs that itself
	}
	for _, offer := range run.Runtimes() {
		if builder.Has(sdkHash(offer.Lambda)) {
			return
		}
	}
	if err := builder.ReachIndex(ctx); err != nil && ctx.Err() == nil {
		s.log.Warn("the package index does not answer: scripts that import boto3, which Lambda has, fail here until it does", zap.Error(err))
	}
}
