package credential

import (
	"context"
	"crypto/rand"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
)

// Role is a tenant's credential, as the operator's settings have it.
type Role struct {
	ARN        string
	ExternalID string // random, made by the platform, the tenant's own
}

// Roles looks a tenant's credential up by its name.
type Roles interface {
	Role(tenant, name string) (Role, bool)
}

// AssumerConfig says which roles are ours, and how much is remembered.
type AssumerConfig struct {
	OwnAccounts []string // account IDs of the platform; their roles are refused
	MaxKept     int      // sessions in memory, about 2 KB each; default 10,000
}

// AssumerDeps is what an Assumer needs of the rest.
type AssumerDeps struct {
	STS        STS
	Roles      Roles
	Log        *zap.Logger           // nil logs nothing
	Registerer prometheus.Registerer // nil registers no metrics
}

// Assumer assumes the roles of tenants' credentials. It is safe for concurrent
// use.
type Assumer struct {
	cfg    AssumerConfig
	deps   AssumerDeps
	kept   *cache
	probes *probes
	meters meters
}

// Assumed is what a run finds of its credential.
type Assumed struct {
	Success bool
	AWS     AWS    // zero unless Success
	Reason  string // why there is none, for the run's log; it names no external ID
}

// NewAssumer returns an Assumer. It fails for an account that is none.
func NewAssumer(cfg AssumerConfig, deps AssumerDeps) (*Assumer, error) {
	for _, a := range cfg.OwnAccounts {
		if !accountID.MatchString(a) {
			return nil, fmt.Errorf("make assumer: own account %q is not 12 digits", a)
		}
	}
	if cfg.MaxKept <= 0 {
		cfg.MaxKept = 10_000
	}
	if deps.Log == nil {
		deps.Log = zap.NewNop()
	}
	m := newMeters(deps.Registerer, "role")
	return &Assumer{cfg: cfg, deps: deps, kept: newCache(cfg.MaxKept), meters: m,
		probes: &probes{sts: deps.STS, kept: map[string]probe{}}}, nil
}

// Assume assumes the role of the tenant's credential. It never fails the run:
// the script decides what to do without. The session is named for the tenant
// and for the run that it was first assumed for; later runs share it until
// shortly before it expires.
func (a *Assumer) Assume(ctx context.Context, tenant, name, run string) Assumed {
	role, ok := a.deps.Roles.Role(tenant, name)
	if !ok {
		return a.refuse(tenant, name, &DeniedError{CodeUnknown, "the tenant has no credential of this name"})
	}
	key := strings.Join([]string{tenant, role.ARN, role.ExternalID}, "\x00")
	creds, err := a.kept.get(ctx, key, func(ctx context.Context) (AWS, error) {
		creds, err := a.assume(ctx, role, sessionName(tenant, run))
		a.meters.done(err)
		return creds, err
	})
	if err != nil {
		return a.refuse(tenant, name, err)
	}
	return Assumed{Success: true, AWS: creds}
}

func (a *Assumer) refuse(tenant, name string, err error) Assumed {
	a.deps.Log.Debug("credential not assumed", zap.String("tenant", tenant), zap.String("credential", name), zap.Error(err))
	return Assumed{Reason: fmt.Sprintf("The credential %q could not be assumed: %v.", name, err)}
}

func (a *Assumer) assume(ctx context.Context, role Role, session string) (AWS, error) {
	if err := a.check(role); err != nil {
		return AWS{}, err
	}
	r := Request{RoleARN: role.ARN, SessionName: session, ExternalID: role.ExternalID, Duration: sessionDuration}
	creds, err := a.deps.STS.AssumeRole(ctx, r)
	if err != nil {
		return AWS{}, err
	}
	// Asked only now: a role that can't be assumed at all says nothing.
	if err := a.probes.closed(ctx, role.ARN, session); err != nil {
		return AWS{}, err
	}
	return creds, nil
}

var (
	roleARN   = regexp.MustCompile(`^arn:aws[a-z-]*:iam::([0-9]{12}):role/[\w+=,.@/-]+$`)
	accountID = regexp.MustCompile(`^[0-9]{12}$`)
)

// CheckRoleARN fails for what is no role's ARN, and returns its account.
func CheckRoleARN(arn string) (account string, err error) {
	m := roleARN.FindStringSubmatch(arn)
	if m == nil || len(arn) > 2048 {
		return "", fmt.Errorf("%q is no role's ARN, such as arn:aws:iam::123456789012:role/scriptfleet", arn)
	}
	return m[1], nil
}

func (a *Assumer) check(role Role) error {
	account, err := CheckRoleARN(role.ARN)
	switch {
	case err != nil:
		return &DeniedError{CodeInvalid, err.Error()}
	case slices.Contains(a.cfg.OwnAccounts, account):
		return &DeniedError{CodeOwnAccount, "the role is in one of the platform's own accounts"}
	case role.ExternalID == "":
		return &DeniedError{CodeInvalid, "the tenant has no external ID"}
	}
	return nil
}

// probes remembers which roles keep out whoever lacks their external ID.
type probes struct {
	sts STS

	mu   sync.Mutex
	kept map[string]probe
}

type probe struct {
	open  bool
	until time.Time
}

// A role that was closed is asked again after a day; one that was open soon, so
// that its tenant sees that it was mended.
const (
	closedFor = 24 * time.Hour
	openFor   = 10 * time.Minute
	maxProbes = 100_000
)

var errOpen = &DeniedError{CodeOpenRole, "the role can be assumed without its external ID: its trust policy must ask for it with StringEquals on sts:ExternalId"}

// closed fails with errOpen where the role lets in a caller without an external
// ID, or with one that nobody made. Any other failure is the probe's own: the
// role is not used before it is known.
func (p *probes) closed(ctx context.Context, arn, session string) error {
	p.mu.Lock()
	known, ok := p.kept[arn]
	p.mu.Unlock()
	if !ok || time.Now().After(known.until) {
		open, err := p.ask(ctx, arn, session)
		if err != nil {
			return fmt.Errorf("probe role: %w", err)
		}
		known = p.remember(arn, open)
	}
	if known.open {
		return errOpen
	}
	return nil
}

func (p *probes) ask(ctx context.Context, arn, session string) (open bool, err error) {
	for _, id := range []string{"", "probe-" + rand.Text()} {
		_, err := p.sts.AssumeRole(ctx, Request{RoleARN: arn, SessionName: session, ExternalID: id, Duration: 15 * time.Minute})
		if err == nil {
			return true, nil
		}
		if !denied(err) {
			return false, err
		}
	}
	return false, nil
}

func (p *probes) remember(arn string, open bool) probe {
	known := probe{open: open, until: time.Now().Add(closedFor)}
	if open {
		known.until = time.Now().Add(openFor)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.kept) >= maxProbes {
		clear(p.kept)
	}
	p.kept[arn] = known
	return known
}

var notSessionName = regexp.MustCompile(`[^\w+=,.@-]`)

// sessionName is what the tenant's CloudTrail shows: tenant@run, as far as it
// fits into STS's 64 characters.
func sessionName(tenant, run string) string {
	name := notSessionName.ReplaceAllString(tenant, "-") + "@" + notSessionName.ReplaceAllString(run, "-")
	return name[:min(len(name), 64)]
}
