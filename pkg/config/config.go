// Package config is the settings of an operator. Each field is an environment
// variable and a flag of the same name: SCRIPTFLEET_PREFIX and --prefix are one
// setting. A flag overrides its variable. Flags that say what a single command
// does are not here, and have no variable.
//
// The AWS SDK reads its own variables (AWS_REGION, AWS_ENDPOINT_URL,
// credentials). So the same binaries call AWS or the embedded stack, depending
// on the endpoints.
package config

import (
	"fmt"
	"io"
	"os"
	"time"

	"github.com/alecthomas/kong"

	"github.com/scriptfleet/scriptfleet/pkg/run"
)

// Named is the prefix of a fleet, which is its name.
type Named struct {
	Prefix string `default:"scriptfleet" help:"Prefix of the names of queues, functions and Redis keys."`
}

// Partitioned is the number of partitions of a fleet.
type Partitioned struct {
	Partitions int `default:"8" min:"1" max:"1000" help:"Number of partition queues."`
}

// Redis is the address of a fleet's Redis.
type Redis struct {
	RedisURL string `name:"redis-url" env:"REDIS_URL" help:"Redis, such as redis://:password@127.0.0.1:6379/0."`
	RedisCA  string `name:"redis-ca" type:"path" help:"File of the authorities, in PEM, that the certificate of a rediss:// Redis is checked by; the system's by default."`
}

// Large is the bucket for large bodies.
type Large struct {
	Bucket string `help:"S3 bucket for bodies that are too large for a queue, and for large layers; empty for none."`
}

// Tenants is the file of the tenants' settings.
type Tenants struct {
	TenantsFile string `name:"tenants" type:"path" help:"JSON file of the tenants' settings; read again when it changes."`
}

// RuntimeTable is the operator's table of runtimes.
type RuntimeTable struct {
	RuntimesFile string `name:"runtimes" type:"path" help:"JSON file with more runtimes, or others of the same names (scriptfleet runtimes list --help has the form); read again when it changes."`
}

// Catalog returns Lambda's runtimes, extended by the operator's table.
func (t RuntimeTable) Catalog() (run.Catalog, error) {
	if t.RuntimesFile == "" {
		return run.Runtimes(), nil
	}
	data, err := os.ReadFile(t.RuntimesFile)
	if err != nil {
		return nil, fmt.Errorf("--runtimes: %w", err)
	}
	catalog, err := run.Runtimes().Extended(data)
	if err != nil {
		return nil, fmt.Errorf("--runtimes %s: %w", t.RuntimesFile, err)
	}
	return catalog, nil
}

// Processor is the processor of a fleet's functions.
type Processor struct {
	Arch string `default:"x86_64" enum:"x86_64,arm64" help:"Processor of functions and layers: x86_64, or arm64, which Lambda bills a fifth less. A change builds every script again."`
}

// Fleet are the settings that must be the same in all processes of a fleet.
type Fleet struct {
	Named
	Partitioned
	Redis
	Large
	Tenants
	RuntimeTable
	Processor

	MaxTimeout     int    `default:"60" min:"1" max:"900" help:"Longest timeout in seconds that a request may ask for."`
	MemoryMB       int    `name:"memory-mb" default:"256" min:"128" max:"10240" help:"Memory in MB of the functions of tenants that have no setting of their own."`
	DefaultRuntime string `default:"python3.13" help:"Runtime of requests that name none."`
	ShellBase      string `help:"Python version under the aws-cli runtime; the catalog's own by default."`
	AllowRetired   bool   `help:"Accept runtimes that Lambda has deprecated."`
	Index          string `help:"Package index of all tenants; the installer's own by default."`

	CreateQueues bool `help:"Create the queues that are missing, at start."`
}

// Process are the settings that each process has for itself.
type Process struct {
	AdminAddr string        `default:"${admin_addr}" help:"Address of metrics, health and profiles; port 0 takes a free one."`
	LogLevel  string        `default:"info" enum:"debug,info,warn,error" help:"debug, info, warn or error."`
	LogFormat string        `default:"auto" enum:"auto,json,console" help:"auto, json or console."`
	PollWait  time.Duration `default:"10s" min:"100ms" max:"20s" help:"Length of a long poll."`
	MaxLinger time.Duration `default:"5ms" min:"0s" max:"1s" help:"How long a step of a run waits for other runs to share its call of SQS or Redis, at each of about six steps and only if others are expected within that time: a lone run waits for nothing. A message waits for up to twice as long while a call is under way. Longer means fewer calls; 0s means the least delay."`
	Drain     time.Duration `default:"90s" min:"0s" max:"1h" help:"How long a stop waits for the work in hand."`
}

// Dispatcher are the settings of a dispatcher.
type Dispatcher struct {
	Pollers     int      `default:"64" min:"1" max:"1000" help:"Polls of the requests queue at a time, at most: there are as few as keep up with it."`
	MaxInHand   int      `default:"4000" min:"10" max:"100000" help:"Requests that the dispatcher has in hand at a time. An eighth of them is at work; the others wait in line, where tenants take turns."`
	Cell        string   `placeholder:"NAME" help:"Name of this cell, if several fleets share the tenants; see --cells."`
	Cells       []string `placeholder:"NAME=URL" help:"Another cell and the URL of its requests queue; once for each. A request of a tenant of another cell is sent there, unless its run is known here. Each tenant's cell follows from the names of all cells."`
	MaxInHandMB int      `name:"max-in-hand-mb" default:"16" min:"1" max:"100000" help:"MiB of requests that the dispatcher has in hand at a time."`
}

// Platform names the platform's AWS accounts.
type Platform struct {
	PlatformAccounts []string `name:"platform-account" placeholder:"ID" help:"AWS account of the platform, which tenants' roles trust and whose own roles no script gets; once for each. The account of --role-arn is always one."`
}

// Worker are the settings of a worker.
type Worker struct {
	Platform

	Name          string        `help:"Name of this worker, unique in the fleet; host and process by default."`
	Concurrency   int           `default:"32" min:"1" max:"10000" help:"Runs that execute at a time."`
	Reserve       *int          `min:"0" max:"10000" help:"Runs that execute beyond the concurrency, for tenants with few runs at work in this worker; a quarter of the concurrency by default."`
	MaxBuilds     int           `default:"4" min:"1" max:"1000" help:"Builds that this worker makes at a time."`
	EnvRunner     string        `default:"on" enum:"on,off" help:"on or off: a new script whose requirements its tenant has used before runs at once, in the tenant's env runner; off has it wait for its own function."`
	BuildAfter    int           `default:"2" min:"1" max:"1000000" help:"Runs of a new script in the env runner, of one worker, after which its own function is built."`
	MaxParked     int           `default:"1000" min:"1" max:"100000" help:"Deliveries that wait for builds in this worker."`
	MaxParkedMB   int           `name:"max-parked-mb" default:"256" min:"1" max:"100000" help:"MiB of deliveries that wait for builds in this worker."`
	Visibility    time.Duration `default:"24s" min:"20s" max:"10m" help:"How long a delivery is hidden from other workers without being extended; the runs of a worker that died come back after it."`
	MaxAttempts   int           `default:"3" min:"1" max:"100" help:"How often a run is invoked at most, if its invocations give no answer."`
	GiveUpAfter   time.Duration `default:"1h" min:"1m" max:"72h" help:"How long a run that cannot be invoked is tried again."`
	RoleARN       string        `name:"role-arn" help:"Role of the functions, without any permission."`
	TenantRoleARN string        `name:"tenant-role-arn" help:"Role that the worker assumes, restricted to one tenant, for that tenant's invocations; empty to invoke with the worker's own role."`
	CacheDir      string        `type:"path" help:"Folder of built layers; the user's cache folder by default."`
	SourceBuilds  bool          `help:"Build packages that the index has only as source, in a sandbox without network. Needs uv, and each runtime's Python on the worker."`
	UV            string        `name:"uv" help:"Path of uv, or none for pip; by default uv from the PATH, else one that is fetched from the package index."`
}

// OfTenants are the settings of tenants that change the rules for requests.
type OfTenants struct {
	MemoryMB     func(tenant string) int    // 0 for Fleet.MemoryMB
	PrivateIndex func(tenant string) string // the name of the tenant's own package index, or ""
}

// Policy returns the operator's rules for requests.
func (f Fleet) Policy(handlerVersion string, of OfTenants) (*run.Policy, error) {
	catalog, err := f.Catalog()
	if err != nil {
		return nil, err
	}
	return run.NewPolicy(run.PolicyConfig{
		Runtimes:          catalog,
		MaxTimeoutSeconds: f.MaxTimeout,
		DefaultRuntime:    f.DefaultRuntime,
		ShellBase:         f.ShellBase,
		AllowRetired:      f.AllowRetired,
		MemoryMB:          f.MemoryMB,
		Arch:              f.Arch,
		TenantMemoryMB:    of.MemoryMB,
		PrivateIndex:      of.PrivateIndex,
		Index:             f.Index,
		Handler:           handlerVersion,
	})
}

// Check fails if a setting is invalid. The error names the flag to change.
func (f Fleet) Check() error {
	if err := run.CheckPrefix(f.Prefix); err != nil {
		return fmt.Errorf("--prefix: %w", err)
	}
	return nil
}

// Check fails if settings do not fit together. The error names the flag to
// change.
func (w Worker) Check() error {
	if w.Reserve != nil && (*w.Reserve < 0 || *w.Reserve > w.Concurrency) {
		return fmt.Errorf("--reserve is %d: use 0 to the concurrency, %d", *w.Reserve, w.Concurrency)
	}
	return nil
}

// adminAddrs are the defaults of --admin-addr. They differ, so that all three
// binaries can run on one machine.
var adminAddrs = map[string]string{
	"dispatcher": "127.0.0.1:9090", "worker": "127.0.0.1:9091", "scriptfleet": "127.0.0.1:9092",
}

// Options returns the options with which every command line of scriptfleet is
// parsed.
func Options(name, description string) []kong.Option {
	return []kong.Option{
		kong.Name(name), kong.Description(description),
		kong.PostBuild(environment), kong.PostBuild(describeBounds), kong.Vars{"admin_addr": adminAddrs[name]},
		kong.TypeMapper(durationType, kong.MapperFunc(durations)),
		kong.UsageOnError(),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true}),
	}
}

// Parse fills settings from args and the environment. If args ask for help, it
// writes the help to out and calls exit.
func Parse(settings any, args []string, out io.Writer, exit func(int), options ...kong.Option) (*kong.Context, error) {
	parser, err := kong.New(settings, append(options, kong.Writers(out, out), kong.Exit(exit))...)
	if err != nil {
		return nil, fmt.Errorf("describe the settings: %w", err)
	}
	ctx, err := parser.Parse(args)
	if err != nil {
		return nil, err
	}
	if err := checkBounds(ctx.Flags()); err != nil {
		return nil, err
	}
	return ctx, nil
}
