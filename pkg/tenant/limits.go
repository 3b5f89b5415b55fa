package tenant

import "math"

// Limits are the limits of a tenant. A cap of 0 lets no run through; the
// absence of a cap is NoCap.
type Limits struct {
	// MaxRunning caps how many runs of the tenant execute at a time in the
	// whole fleet. 0 stops the tenant: its runs wait.
	MaxRunning int
	// MaxRunningPerScript caps the same for each script of the tenant.
	MaxRunningPerScript int
	// Weight is the tenant's share of a busy worker: a tenant of weight 2 gets
	// twice the worker-seconds of a tenant of weight 1.
	Weight int
	// MaxBacklog is how many open runs the tenant may have before further ones
	// go to the side partition. 0 sends all of them there. While many runs wait,
	// dispatchers lower it by themselves.
	MaxBacklog int
	// Partitions is the number of partitions in the tenant's shard.
	Partitions int
	// MemoryMB is the memory of the tenant's functions; 0, the default, stands
	// for the fleet's setting. A change builds each of the tenant's scripts
	// again.
	MemoryMB int
	switches
}

// switches are what a tenant's entry turns on or off.
type switches struct {
	// Paused is set for a tenant that an operator has paused. Its MaxRunning is
	// then 0.
	Paused bool
	// NoRunner is set for a tenant whose runs wait for their scripts' own
	// functions, and use no env runner.
	NoRunner bool
	// SealedInRunner is set for a tenant that lets sealed scripts run in its env
	// runners too, beside scripts of callers that may not read them.
	SealedInRunner bool
}

// NoCap stands for the absence of a cap: no slot is counted for it.
const NoCap = math.MaxInt

// Defaults are the limits of a tenant that the operator set none for.
//
//   - MaxRunning: a new AWS account may execute 1,000 functions at a time. A
//     cap of 50 leaves 95 % of that to the other tenants, and twenty tenants
//     must be at their cap before Lambda throttles.
//   - MaxBacklog: 10,000 runs of one second take about an hour, three at a
//     time. A queue holds 120,000 deliveries in flight.
//   - Partitions: with two of N partitions a tenant shares both of them with
//     one in N(N-1)/2 other tenants. If one of the two is full, it has the
//     other.
var Defaults = Limits{MaxRunning: 50, MaxRunningPerScript: NoCap, Weight: 1, MaxBacklog: 10_000, Partitions: 2}

// field is a field of Limits: its name in the file, its least and greatest
// value. There is no value for "the default": the file leaves the field out.
type field struct {
	name        string
	least, most int
	at          func(*Limits) *int
}

// fields lists all fields of Limits. settings.schema.json repeats names and
// bounds; a test compares the two.
var fields = []field{
	{"max_running", 0, 100_000, func(l *Limits) *int { return &l.MaxRunning }},
	{"max_running_per_script", 1, 100_000, func(l *Limits) *int { return &l.MaxRunningPerScript }},
	{"weight", 1, 1_000, func(l *Limits) *int { return &l.Weight }},
	{"max_backlog", 0, 100_000_000, func(l *Limits) *int { return &l.MaxBacklog }},
	{"partitions", 1, 1_000, func(l *Limits) *int { return &l.Partitions }},
	{"memory_mb", 128, 10_240, func(l *Limits) *int { return &l.MemoryMB }},
}

// fieldOf returns the field of that name in the file.
func fieldOf(name string) (field, bool) {
	for _, f := range fields {
		if f.name == name {
			return f, true
		}
	}
	return field{}, false
}

// given are the limits that a tenant's entry in the file sets.
type given []value

type value struct {
	field
	n int
}

// over returns the defaults, overridden by the given limits.
func (g given) over(defaults Limits) Limits {
	for _, v := range g {
		*v.at(&defaults) = v.n
	}
	return defaults
}
