package registry

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/scriptfleet/scriptfleet/pkg/run"
)

// The errors of a Store. All others mean that it could not be reached.
var (
	// ErrNotFound is the error for an entry or a version that does not exist.
	ErrNotFound = errors.New("registry: not found")
	// ErrUnchanged is the error of Store.Entry where the known revision is the
	// present one.
	ErrUnchanged = errors.New("registry: unchanged")
	// ErrConflict is the error of Store.Save where the entry has another
	// revision than the one that was read.
	ErrConflict = errors.New("registry: changed by somebody else meanwhile")
	// ErrCorrupt is the error for a text that is not the one of its version.
	ErrCorrupt = errors.New("registry: the text is not the one that was pushed")
)

// Name identifies a script.
type Name struct{ Tenant, ID string }

func (n Name) String() string { return n.Tenant + ":" + n.ID }

// Revision identifies the state of an entry. It is the store's own, and empty
// for an entry that does not exist.
type Revision string

// Entry is what is known of a script besides its texts.
type Entry struct {
	Versions []Version                    `json:"versions"` // in the order of their first push
	Latest   run.ScriptVersion            `json:"latest"`   // pushed last
	Labels   map[string]run.ScriptVersion `json:"labels,omitempty"`
	Sharing
	Removed  time.Time `json:"removed,omitzero"` // set: no request is accepted
	Revision Revision  `json:"-"`
}

// Version describes a version.
type Version struct {
	Version  run.ScriptVersion `json:"version"`
	PushedAt time.Time         `json:"pushed_at"` // for the first time
	Runtime  string            `json:"runtime,omitempty"`
	Bytes    int               `json:"bytes"` // of the source
}

// Sharing says which callers may use a script; see the package's documentation.
type Sharing struct {
	Allow   []string `json:"allow,omitempty"`   // may run it
	Readers []string `json:"readers,omitempty"` // may run and read it
}

// MayRun tells whether a caller, or a request without one, may run the script.
func (s Sharing) MayRun(caller string) bool {
	return len(s.Allow)+len(s.Readers) == 0 || caller != "" && slices.Contains(s.Allow, caller) || s.MayRead(caller)
}

// MayRead tells whether a caller may read the script.
func (s Sharing) MayRead(caller string) bool {
	return caller != "" && slices.Contains(s.Readers, caller)
}

// Has tells whether the entry has a version.
func (e Entry) Has(v run.ScriptVersion) bool {
	return slices.ContainsFunc(e.Versions, func(o Version) bool { return o.Version == v })
}

// Find returns the version that a reference names; ok is false if there is none.
func (e Entry) Find(r run.Reference) (v run.ScriptVersion, ok bool) {
	switch {
	case !e.Removed.IsZero():
		return "", false
	case r.Version != "":
		return r.Version, e.Has(r.Version)
	case r.Label != "":
		v, ok = e.Labels[r.Label]
		return v, ok
	}
	return e.Latest, e.Latest != ""
}

// Store keeps entries and texts. Its methods are safe for concurrent use, and
// by several processes. A write that was answered is seen by every later read.
type Store interface {
	// Entry returns the entry of a script with its revision. It fails with
	// ErrNotFound, and with ErrUnchanged if its revision is known; an empty
	// known is no revision.
	Entry(ctx context.Context, n Name, known Revision) (Entry, error)
	// Save writes an entry. It fails with ErrConflict unless e.Revision is the
	// present one: of two concurrent writes, one fails.
	Save(ctx context.Context, n Name, e Entry) error
	// PutText stores a version's content. Doing so again changes nothing.
	PutText(ctx context.Context, n Name, p run.Pushed) error
	// Text returns a version's content. It fails with ErrNotFound, and with
	// ErrCorrupt if what is stored is another content.
	Text(ctx context.Context, n Name, v run.ScriptVersion) (run.Pushed, error)
	// Erase removes a version's content. That it is missing is no error.
	Erase(ctx context.Context, n Name, v run.ScriptVersion) error
	// List returns the ids of a tenant's entries, removed ones too, sorted.
	List(ctx context.Context, tenant string) ([]string, error)
}
