package architecture

import (
	"path"
	"slices"
	"strings"
)

// The SDKs, by the prefixes of their import paths.
const (
	aws       = "github.com/aws/"
	redis     = "github.com/redis/"
	miniredis = "github.com/alicebob/miniredis"
)

// rule forbids packages to import others. A pattern is a path below the
// module's root, or an import path; with /... at its end it also matches
// everything below.
type rule struct {
	of         []string // the packages to which the rule applies
	except     []string // exceptions of them
	forbid     []string
	transitive bool // also through other packages of the module
	because    string
}

// Contracts and policy: the running parts use only these.
var contracts = []string{
	"pkg/run", "pkg/queue", "pkg/lease", "pkg/ledger", "pkg/slot", "pkg/ratelimit", "pkg/function", "pkg/builds",
	"pkg/credential", "pkg/claimcheck", "pkg/registry", "pkg/partition", "pkg/fair", "pkg/batch", "pkg/breaker", "pkg/probe", "pkg/shape", "pkg/secret", "pkg/trace",
}

// Adapters, each with its SDK.
var adapters = map[string]string{
	"pkg/queue/sqsqueue":           aws,
	"pkg/function/awslambda":       aws,
	"pkg/credential/awssts":        aws,
	"pkg/claimcheck/s3store":       aws,
	"pkg/secret/awssecrets":        aws,
	"pkg/registry/s3registry":      aws,
	"pkg/lease/redislease":         redis,
	"pkg/shape/redisshape":         redis,
	"pkg/ledger/redisledger":       redis,
	"pkg/slot/redisslot":           redis,
	"pkg/ratelimit/redisratelimit": redis,
	"pkg/builds/redisrecords":      redis,
	"pkg/awscall":                  aws,   // what the adapters of AWS share: calls without the SDK's clients
	"pkg/redisfault":               redis, // what the adapters of Redis share: its classes of error
}

// sdksByNature may import any SDK: they assemble the program or a story's end of
// the queues, serve AWS's API, or start servers for tests.
var sdksByNature = []string{"cmd/...", "pkg/client", "pkg/localaws/...", "pkg/fleettest/..."}

var rules = []rule{{
	of: []string{"dispatcher", "worker"}, forbid: []string{aws + "...", redis + "...", miniredis + "/..."}, transitive: true,
	because: "the running parts are tested in memory, and outlive a change of queue or store",
}, {
	of: []string{"dispatcher"}, forbid: []string{"worker"}, transitive: true,
	because: "they share queues and contracts, and are deployed apart",
}, {
	of: []string{"worker"}, forbid: []string{"dispatcher"}, transitive: true,
	because: "they share queues and contracts, and are deployed apart",
}, {
	of: []string{"pkg/...", "dispatcher", "worker"}, forbid: []string{"cmd/..."}, transitive: true,
	because: "only cmd knows concrete types, so nothing may know cmd",
}, {
	of: []string{"pkg/..."}, forbid: []string{"dispatcher", "worker"}, transitive: true,
	because: "a contract does not know who uses it",
}, {
	of: contracts, forbid: []string{aws + "...", redis + "...", miniredis + "/..."}, transitive: true,
	because: "a contract that names an SDK's types has one implementation for ever",
}, {
	of: []string{"pkg/partition", "pkg/fair"}, forbid: []string{"time", "sync", "context", "os", "net", "net/http", "math/rand", "math/rand/v2"},
	because: "policy is pure: the same calls in the same order give the same answers",
}, {
	of: []string{"cmd/dispatcher", "cmd/worker"}, forbid: []string{"pkg/localaws/...", miniredis + "/..."}, transitive: true,
	because: "production carries no embedded stack",
}, {
	of: []string{"./..."}, except: []string{"pkg/localaws/..."}, forbid: []string{miniredis + "/..."},
	because: "the embedded Redis is the embedded stack's; tests of Redis run on a real server",
}, {
	of: []string{"./..."}, forbid: []string{"github.com/prometheus/client_golang/prometheus/promhttp"}, except: []string{"pkg/telemetry"},
	because: "every process shows its metrics in the same place",
}, {
	of: []string{"./..."}, forbid: []string{"go.opentelemetry.io/otel/sdk/...", "go.opentelemetry.io/otel/exporters/..."}, except: []string{"pkg/telemetry"},
	because: "a part emits spans by the API, and one place decides where they go",
}}

// adapterRules derives rules from the table of adapters.
func adapterRules() []rule {
	var all []rule
	free := slices.Clone(sdksByNature)
	for adapter, sdk := range adapters {
		free = append(free, adapter)
		other := aws
		if sdk == aws {
			other = redis
		}
		all = append(all, rule{
			of: []string{adapter}, forbid: []string{other + "..."},
			because: "an adapter is for one SDK",
		})
	}
	return append(all, rule{
		of: []string{"./..."}, except: free, forbid: []string{aws + "...", redis + "..."},
		because: "only an adapter imports an SDK: put the call behind a contract, or add the adapter to the table",
	})
}

// mayAdapterImport tells whether an adapter may import a package of the module:
// its contract, the run's words, the guard of its goroutines, and what the
// adapters of its SDK share.
func mayAdapterImport(adapter, imported string) bool {
	return imported == path.Dir(adapter) || imported == "pkg/run" || imported == "pkg/panics" ||
		imported == "pkg/redisfault" && adapters[adapter] == redis || imported == "pkg/awscall" && adapters[adapter] == aws ||
		imported == "pkg/sigv4" && adapter == "pkg/awscall"
}

// isSuite tells whether a package is there for tests to import.
func isSuite(pkg string) bool {
	return strings.HasSuffix(path.Base(pkg), "test") || matches([]string{"pkg/fleettest/..."}, pkg)
}

// isInMemory tells whether a package is a contract's part in memory.
func isInMemory(pkg string) bool {
	return strings.HasPrefix(path.Base(pkg), "mem") && slices.Contains(contracts, path.Dir(pkg))
}

// matches tells whether a package is among those of the patterns.
func matches(patterns []string, pkg string) bool {
	return slices.ContainsFunc(patterns, func(p string) bool {
		below, open := strings.CutSuffix(p, "...")
		switch {
		case p == "./...":
			return true
		case open:
			return strings.HasPrefix(pkg+"/", below)
		}
		return pkg == p
	})
}
