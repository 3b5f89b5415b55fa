package run

import (
	"fmt"
	"sync/atomic"
)

// PolicyConfig is what an operator decides about requests. A zero value stands
// for the default, which is the first value in the field's comment, if there is
// one.
type PolicyConfig struct {
	MaxTimeoutSeconds     int     // 60; Lambda takes up to 900
	DefaultTimeoutSeconds int     // 10, or the maximum where that is less
	DefaultRuntime        string  // python3.13
	ShellBase             string  // the base in the catalog; else the Python that aws-cli runs on
	Runtimes              Catalog // Runtimes()
	AllowRetired          bool    // accept runtimes that Lambda has deprecated
	MemoryMB              int     // 256; Lambda takes 128 to 10240
	Arch                  string  // x86_64; or arm64, which Lambda bills at a fifth less

	// TenantMemoryMB returns the memory of a tenant's functions, or 0 for
	// MemoryMB. It may be nil. The memory is part of the script hash, so after
	// a change the tenant's functions are built again.
	TenantMemoryMB func(tenant string) int

	// Handler is the digest of the handler in the functions. It is part of the
	// script hash, so a new handler means new functions.
	Handler string
	// Index is the package index of all tenants; empty for the installer's
	// default. It is part of the env hash.
	Index string
	// PrivateIndex returns the name of a tenant's own package index, or "" if
	// it has none. With one, the tenant's layers are not shared with other
	// tenants. It may be nil.
	PrivateIndex func(tenant string) string
}

// Policy decodes requests by the operator's rules. It is safe for concurrent
// use.
type Policy struct {
	c        PolicyConfig // without Runtimes
	runtimes atomic.Pointer[Catalog]
}

// Lambda's limits, in seconds and MB.
const (
	lambdaMaxTimeout = 900
	lambdaMinMemory  = 128
	lambdaMaxMemory  = 10240
)

// NewPolicy returns a policy with the defaults filled in. It fails for a value
// that Lambda does not take or that the catalog does not have.
func NewPolicy(c PolicyConfig) (*Policy, error) {
	c = c.withDefaults()
	if err := c.check(); err != nil {
		return nil, fmt.Errorf("check policy: %w", err)
	}
	p := &Policy{c: c}
	p.c.Runtimes = nil
	return p, p.Offer(c.Runtimes)
}

// Offer replaces the catalog: later requests are decoded by this one. The old
// one stays if it fails.
func (p *Policy) Offer(runtimes Catalog) error {
	if p.c.ShellBase != "" {
		var err error
		if runtimes, err = runtimes.WithShellBase(p.c.ShellBase); err != nil {
			return fmt.Errorf("check policy: %w", err)
		}
	}
	if o, ok := runtimes.Find(p.c.DefaultRuntime); !ok || o.Shell || len(o.Tenants) > 0 {
		return fmt.Errorf("check policy: the default runtime %q is not a Python of the catalog that all tenants may use", p.c.DefaultRuntime)
	}
	p.runtimes.Store(&runtimes)
	return nil
}

func (c PolicyConfig) withDefaults() PolicyConfig {
	if c.MaxTimeoutSeconds == 0 {
		c.MaxTimeoutSeconds = 60
	}
	if c.DefaultTimeoutSeconds == 0 {
		c.DefaultTimeoutSeconds = min(10, c.MaxTimeoutSeconds)
	}
	if c.DefaultRuntime == "" {
		c.DefaultRuntime = "python3.13"
	}
	if c.Runtimes == nil {
		c.Runtimes = Runtimes()
	}
	if c.MemoryMB == 0 {
		c.MemoryMB = 256
	}
	if c.Arch == "" {
		c.Arch = "x86_64"
	}
	return c
}

func (c PolicyConfig) check() error {
	if c.MaxTimeoutSeconds < 1 || c.MaxTimeoutSeconds > lambdaMaxTimeout {
		return fmt.Errorf("the maximum timeout is %d s: use 1 to %d", c.MaxTimeoutSeconds, lambdaMaxTimeout)
	}
	if c.DefaultTimeoutSeconds < 1 || c.DefaultTimeoutSeconds > c.MaxTimeoutSeconds {
		return fmt.Errorf("the default timeout is %d s: use 1 to the maximum, %d", c.DefaultTimeoutSeconds, c.MaxTimeoutSeconds)
	}
	if c.MemoryMB < lambdaMinMemory || c.MemoryMB > lambdaMaxMemory {
		return fmt.Errorf("the memory is %d MB: use %d to %d", c.MemoryMB, lambdaMinMemory, lambdaMaxMemory)
	}
	if c.Arch != "x86_64" && c.Arch != "arm64" {
		return fmt.Errorf("the architecture is %q: use x86_64 or arm64", c.Arch)
	}
	return nil
}
