package layer

import (
	"context"
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"github.com/scriptfleet/scriptfleet/pkg/panics"
	"github.com/scriptfleet/scriptfleet/pkg/run"
)

// The outcomes of a call of Layer, a closed set.
const (
	outcomeCached    = "cached"
	outcomeBuilt     = "built"
	outcomeCancelled = "cancelled"
	outcomeAuthor    = "failed_author"
	outcomeOperator  = "failed_operator"
	outcomePlatform  = "failed_platform"
)

type meters struct {
	layers  *prometheus.CounterVec
	seconds prometheus.Histogram
}

func newMeters(reg prometheus.Registerer) meters {
	f := promauto.With(reg)
	m := meters{
		layers: f.NewCounterVec(prometheus.CounterOpts{
			Name: "scriptfleet_layer_requests_total",
			Help: "Layers asked for, by what came of it.",
		}, []string{"outcome"}),
		seconds: f.NewHistogram(prometheus.HistogramOpts{
			Name:    "scriptfleet_layer_build_seconds",
			Help:    "Time that layer builds took, failed ones included; kept layers are not counted.",
			Buckets: []float64{.25, .5, 1, 2, 4, 8, 16, 32, 64, 128, 256},
		}),
	}
	for _, o := range []string{outcomeCached, outcomeBuilt, outcomeCancelled, outcomeAuthor, outcomeOperator, outcomePlatform} {
		m.layers.WithLabelValues(o)
	}
	return m
}

func (m meters) done(outcome string, took time.Duration) {
	m.layers.WithLabelValues(outcome).Inc()
	if took > 0 {
		m.seconds.Observe(took.Seconds())
	}
}

func outcomeOf(err error) string {
	var known *run.Error
	var panicked *panics.Error
	switch {
	case err == nil:
		return outcomeBuilt
	case errors.As(err, &panicked):
		return outcomePlatform
	case !errors.As(err, &known), errors.Is(err, context.Canceled):
		return outcomeCancelled
	case known.Owner == run.OwnerAuthor:
		return outcomeAuthor
	case known.Owner == run.OwnerOperator:
		return outcomeOperator
	}
	return outcomePlatform
}
