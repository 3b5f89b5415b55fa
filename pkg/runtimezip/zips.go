package runtimezip

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"

	"github.com/scriptfleet/scriptfleet/pkg/claimcheck"
	"github.com/scriptfleet/scriptfleet/pkg/run"
)

// RuntimeUnavailable is the type of the error for a runtime whose ZIP is not
// where it should be.
const RuntimeUnavailable = "RuntimeUnavailable"

// Zips keeps ZIPs in the fleet's bucket, each under its own digest:
//
//	<prefix>/runtimes/<SHA-256>.zip
//
// They are written once and never changed. The role of a worker needs
// s3:GetObject there, and who adds a runtime s3:PutObject.
type Zips struct {
	Store  claimcheck.Store // nil where the fleet has no bucket
	Prefix string           // of the fleet
}

func (z Zips) key(digest string) string { return z.Prefix + "/runtimes/" + digest + ".zip" }

// Put stores the ZIP. Doing so again changes nothing.
func (z Zips) Put(ctx context.Context, rt Runtime, data []byte) error {
	return z.Store.Put(ctx, z.key(rt.SHA256), data)
}

// get returns the ZIP of a custom runtime, and checks its digest.
func (z Zips) get(ctx context.Context, r run.Runtime) ([]byte, error) {
	if z.Store == nil {
		return nil, unavailable("The runtime %s is kept in the fleet's bucket, and this worker has none: the operator has to set SCRIPTFLEET_BUCKET.", r.Name)
	}
	data, err := z.Store.Get(ctx, z.key(r.Zip), MaxUnpackedBytes)
	if errors.Is(err, claimcheck.ErrNoObject) {
		return nil, unavailable("The ZIP of the runtime %s is not in the fleet's bucket (%s): the operator has to add the runtime again, with scriptfleet runtimes add.", r.Name, z.key(r.Zip))
	}
	if err != nil {
		return nil, fmt.Errorf("fetch the runtime %s: %w", r.Name, err)
	}
	if sum := sha256.Sum256(data); hex.EncodeToString(sum[:]) != r.Zip {
		return nil, unavailable("The ZIP of the runtime %s in the fleet's bucket (%s) is not the one that was added: the operator has to add it again, with scriptfleet runtimes add.", r.Name, z.key(r.Zip))
	}
	return data, nil
}

func unavailable(format string, args ...any) error {
	return &run.Error{Owner: run.OwnerOperator, Type: RuntimeUnavailable, Message: fmt.Sprintf(format, args...), Retryable: true}
}

// Layers builds the layers of custom runtimes, and has the others built by
// Requirements.
type Layers struct {
	Zips
	Requirements interface {
		Build(ctx context.Context, s run.Script) (zip []byte, packages []run.Package, log string, err error)
	}
}

// Build returns the ZIP of a script's interpreter (run.Script.Interpreter), or
// the layer of its requirements.
func (l Layers) Build(ctx context.Context, s run.Script) (zip []byte, packages []run.Package, log string, err error) {
	if s.Requirements != "" {
		return l.Requirements.Build(ctx, s)
	}
	zip, err = l.get(ctx, s.Runtime)
	return zip, nil, "", err
}
