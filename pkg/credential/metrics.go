package credential

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// meters counts the calls for sessions of one kind by their outcome: granted,
// denied, failed. Answers from memory are not counted.
type meters struct{ granted, denied, failed prometheus.Counter }

func newMeters(reg prometheus.Registerer, kind string) meters {
	count := func(outcome string) prometheus.Counter {
		return promauto.With(reg).NewCounter(prometheus.CounterOpts{
			Name:        "scriptfleet_credential_assumes_total",
			Help:        "Roles assumed, by kind (role: of a tenant's credential; session: of a tenant) and outcome.",
			ConstLabels: prometheus.Labels{"kind": kind, "outcome": outcome},
		})
	}
	return meters{granted: count("granted"), denied: count("denied"), failed: count("failed")}
}

func (m meters) done(err error) {
	switch {
	case err == nil:
		m.granted.Inc()
	case denied(err):
		m.denied.Inc()
	default:
		m.failed.Inc()
	}
}
