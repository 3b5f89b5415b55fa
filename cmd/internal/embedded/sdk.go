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

// sdkBuilder builds boto3's layer in the same way as layers of scripts: with
// the same installer, index, sandbox and cache.
func sdkBuilder(f config.Fleet, w config.Worker, log *zap.Logger) func(ctx context.Context, runtime string) ([]byte, error) {
	open := sync.OnceValues(func() (*layer.Builder, error) {
		interpreters, err := interpreter.Default(context.Background())
		if err != nil {
			return nil, fmt.Errorf("find Python: %w", err)
		}
		return layer.New(layer.Config{CacheDir: w.CacheDir, UV: w.UV, Index: f.Index}, layer.Deps{Log: log, Interpreters: interpreters})
	})
	return func(ctx context.Context, runtime string) ([]byte, error) {
		builder, err := open()
		if err != nil {
			return nil, err
		}
		offer, ok := run.Runtimes().Find(runtime)
		if !ok {
			return nil, fmt.Errorf("no runtime is called %s", runtime)
		}
		key := "boto3" + boto3 + runtime
		built, err := builder.Layer(ctx, run.Script{
			Runtime: offer.Runtime, Requirements: "boto3==" + boto3, EnvHash: run.EnvHash(strings.ReplaceAll(key, ".", "x")),
		})
		return built.Zip, err
	}
}
