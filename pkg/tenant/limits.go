package tenant

import "math"

// Limits is what a tenant may take. Every number is meant as it stands: 0 is
// none, and a cap that is not wanted is NoCap.
type Limits struct {
	// MaxRunning is how many of the tenant's runs execute at a time in the whole
	// fleet. 0 stops the tenant: its runs wait.
	MaxRunning int
	// MaxRunningPerScript is the same for each of its scripts.
	MaxRunningPerScript int
	// Weight is the tenant's share of a busy worker beside the others'.
	Weight int
	// MaxBacklog is how many of its runs may wait on its partitions; what is
	// over goes to the side partition. 0 sends all of them there.
	MaxBacklog int
	// Partitions is the size of its shard.
	Partitions int
	// MemoryMB is the memory of its functions; where nothing is set it is 0, and
	// the fleet's own holds. Each of its scripts is built again after a change.
	MemoryMB int
}

// NoCap is a cap that no number of runs reaches; nothing is counted for it.
const NoCap = math.MaxInt

// Defaults are the limits of a tenant for which nothing is set.
//
// 50 at a time is a twentieth of the concurrency that an account has to begin
// with: one tenant that floods leaves 95 % of it to the others, and it takes
// twenty at their cap before Lambda throttles. 10,000 waiting runs are an hour
// of work at one second each with three at a time, and far below what a queue
// holds in flight. Two partitions of a tenant: of N, one in N(N-1)/2 others
// shares both, and one full partition leaves the other.
var Defaults = Limits{MaxRunning: 50, MaxRunningPerScript: NoCap, Weight: 1, MaxBacklog: 10_000, Partitions: 2}

// field is one of Limits as the file names it, with its bounds. What the file
// does not name has its default: no number stands for that.
type field struct {
	name        string
	least, most int
	at          func(*Limits) *int
}

// fields is all of Limits. settings.schema.json says the same; a test holds the
// two together.
var fields = []field{
	{"max_running", 0, 100_000, func(l *Limits) *int { return &l.MaxRunning }},
	{"max_running_per_script", 1, 100_000, func(l *Limits) *int { return &l.MaxRunningPerScript }},
	{"weight", 1, 1_000, func(l *Limits) *int { return &l.Weight }},
	{"max_backlog", 0, 100_000_000, func(l *Limits) *int { return &l.MaxBacklog }},
	{"partitions", 1, 1_000, func(l *Limits) *int { return &l.Partitions }},
	{"memory_mb", 128, 10_240, func(l *Limits) *int { return &l.MemoryMB }},
}

// fieldOf finds a field by its name in the file.
func fieldOf(name string) (field, bool) {
	for _, f := range fields {
		if f.name == name {
			return f, true
		}
	}
	return field{}, false
}

// given are the limits that an entry of the file names itself.
type given []value

type value struct {
	field
	n int
}

// over are the defaults with what is given in their place.
func (g given) over(defaults Limits) Limits {
	for _, v := range g {
		*v.at(&defaults) = v.n
	}
	return defaults
}
