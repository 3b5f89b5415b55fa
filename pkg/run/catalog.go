package run

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"
)

//go:embed runtimes.json
var runtimesJSON []byte

// Catalog is every runtime that requests may name, oldest first. It is read
// from runtimes.json, so a change of Lambda's table of runtimes needs no code.
type Catalog []Offer

// Runtime is a runtime that requests can name.
type Runtime struct {
	Name     string // as requests name it: python3.13, aws-cli
	Lambda   string // Lambda's identifier: python3.13
	Python   string // version of its interpreter: 3.13
	Platform string // newest wheel platform that its C library supports: manylinux_2_34
	Shell    bool   // the script is shell commands, not Python
	Zip      string // SHA-256, in hexadecimal, of the ZIP of a custom runtime's interpreter; empty for Lambda's own
}

// Custom is Lambda's identifier of the runtimes whose interpreter is a ZIP of
// the operator's.
const Custom = "provided.al2023"

// Offer is a runtime with the dates that Lambda has set for it.
type Offer struct {
	Runtime
	// Requirements are the runtime's own, normalised; a request for it may add
	// none. Empty for a Python.
	Requirements string
	// Tenants are those that may use the runtime; empty for all.
	Tenants []string
	// Deprecated is the day from which Lambda no longer maintains the runtime.
	// CreateBlocked is the day from which Lambda creates no function on it.
	// Each is zero where Lambda has not set it.
	Deprecated, CreateBlocked time.Time
}

// Retired tells whether Lambda has deprecated the runtime at now. Such a
// runtime gets no security fixes, and Lambda will stop creating functions on
// it.
func (o Offer) Retired(now time.Time) bool {
	return !o.Deprecated.IsZero() && !now.Before(o.Deprecated)
}

// Runtimes returns the catalog of the embedded runtimes.json.
func Runtimes() Catalog {
	c, err := ParseCatalog(runtimesJSON)
	if err != nil {
		panic(err) // a test parses the embedded file
	}
	return c
}

// catalogEntry is an offer in runtimes.json: a Python, or a shell runtime,
// whose base is a Python of the catalog.
type catalogEntry struct {
	Name          string   `json:"name"`
	Lambda        string   `json:"lambda"`
	Python        string   `json:"python"`
	Platform      string   `json:"platform"`
	Deprecated    string   `json:"deprecated"`
	CreateBlocked string   `json:"create_blocked"`
	Base          string   `json:"base"`
	Requirements  []string `json:"requirements"`
	Zip           string   `json:"zip"`
	Tenants       []string `json:"tenants"`
}

// ParseCatalog reads a catalog in the format of runtimes.json.
func ParseCatalog(data []byte) (Catalog, error) {
	entries, err := catalogEntries(data)
	if err != nil {
		return nil, err
	}
	var c Catalog
	for _, e := range entries {
		o, err := c.offer(e)
		if err != nil {
			return nil, fmt.Errorf("parse runtime %q: %w", e.Name, err)
		}
		c = append(c, o)
	}
	return c, nil
}

// Extended returns the catalog with the runtimes of another one, in the format
// of runtimes.json. A runtime of a known name replaces that one.
func (c Catalog) Extended(data []byte) (Catalog, error) {
	entries, err := catalogEntries(data)
	if err != nil {
		return nil, err
	}
	extended := slices.Clone(c)
	for _, e := range entries {
		at := slices.IndexFunc(extended, func(o Offer) bool { return o.Name == e.Name })
		others := slices.DeleteFunc(slices.Clone(extended), func(o Offer) bool { return o.Name == e.Name })
		o, err := others.offer(e)
		switch {
		case err != nil:
			return nil, fmt.Errorf("parse runtime %q: %w", e.Name, err)
		case at < 0:
			extended = append(extended, o)
		default:
			extended[at] = o
		}
	}
	return extended, nil
}

func catalogEntries(data []byte) ([]catalogEntry, error) {
	var file struct {
		Runtimes []catalogEntry `json:"runtimes"`
	}
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&file); err != nil {
		return nil, fmt.Errorf("parse runtimes: %w", err)
	}
	return file.Runtimes, nil
}

func (c Catalog) offer(e catalogEntry) (Offer, error) {
	if _, ok := c.Find(e.Name); ok || e.Name == "" {
		return Offer{}, fmt.Errorf("the name is empty or is there twice")
	}
	reqs, bad := NormalizeRequirements(strings.Join(e.Requirements, "\n"))
	if bad != nil {
		return Offer{}, bad
	}
	for _, t := range e.Tenants {
		if bad := CheckTenant(t); bad != nil {
			return Offer{}, bad
		}
	}
	if e.Base != "" {
		o := Offer{Runtime: Runtime{Name: e.Name, Shell: true}, Requirements: reqs, Tenants: e.Tenants}
		return c.onBase(o, e.Base)
	}
	o := Offer{Runtime: Runtime{Name: e.Name, Lambda: e.Lambda, Python: e.Python, Platform: e.Platform, Zip: e.Zip}, Requirements: reqs, Tenants: e.Tenants}
	if (o.Zip != "") != (o.Lambda == Custom) || o.Zip != "" && !zipDigest.MatchString(o.Zip) {
		return Offer{}, fmt.Errorf("a runtime with a zip, which is the SHA-256 of its ZIP, has %s as lambda, and no other has: scriptfleet runtimes add writes such an entry", Custom)
	}
	if o.Lambda == "" || o.Python == "" || o.Platform == "" {
		return Offer{}, fmt.Errorf("lambda, python and platform are needed")
	}
	if lambda, python := strings.CutPrefix(o.Lambda, "python"); python && lambda != o.Python {
		return Offer{}, fmt.Errorf("lambda is %s and python is %s: the bytecode of one Python does not run on another, so name the same version in both", o.Lambda, o.Python)
	}
	var err error
	if o.Deprecated, err = day(e.Deprecated); err != nil {
		return Offer{}, err
	}
	o.CreateBlocked, err = day(e.CreateBlocked)
	return o, err
}

var zipDigest = regexp.MustCompile(`^[0-9a-f]{64}$`)

func day(s string) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	return time.Parse(time.DateOnly, s)
}

// onBase sets the base of a shell runtime. The base's dates become the shell
// runtime's.
func (c Catalog) onBase(o Offer, base string) (Offer, error) {
	b, ok := c.Find(base)
	if !ok || b.Shell {
		return Offer{}, fmt.Errorf("base %q: the catalog has no such Python", base)
	}
	o.Lambda, o.Python, o.Platform, o.Zip = b.Lambda, b.Python, b.Platform, b.Zip
	o.Deprecated, o.CreateBlocked = b.Deprecated, b.CreateBlocked
	return o, nil
}

// WithShellBase returns the catalog with another Python, such as python3.12, as
// the base of its shell runtimes: a small installation may not have 3.13.
func (c Catalog) WithShellBase(python string) (Catalog, error) {
	moved := slices.Clone(c)
	for i, o := range moved {
		if !o.Shell {
			continue
		}
		var err error
		if moved[i], err = c.onBase(o, python); err != nil {
			return nil, fmt.Errorf("move %s: %w", o.Name, err)
		}
	}
	return moved, nil
}

// Find returns the runtime of that name.
func (c Catalog) Find(name string) (Offer, bool) {
	for _, o := range c {
		if o.Name == name {
			return o, true
		}
	}
	return Offer{}, false
}

// For returns the runtimes that the tenant may use.
func (c Catalog) For(tenant string) Catalog {
	return slices.DeleteFunc(slices.Clone(c), func(o Offer) bool { return !o.offeredTo(tenant) })
}

func (o Offer) offeredTo(tenant string) bool {
	return len(o.Tenants) == 0 || slices.Contains(o.Tenants, tenant)
}

// Names lists the runtimes that are not retired at now, or all of them if
// allowRetired is set.
func (c Catalog) Names(now time.Time, allowRetired bool) []string {
	var names []string
	for _, o := range c {
		if allowRetired || !o.Retired(now) {
			names = append(names, o.Name)
		}
	}
	return names
}
