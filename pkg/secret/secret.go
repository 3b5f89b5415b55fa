// Package secret reads secrets to which the settings refer. Settings hold a
// reference only, never the secret itself:
//
//	env:NAME                              an environment variable of the process
//	file:/run/secrets/name                a file that the process can read
//	arn:aws:secretsmanager:REGION:…       a secret of AWS Secrets Manager
//
// A secret is read when it is needed, and not kept: a rotated one is used by
// the next read. Errors name the reference, which is no secret.
package secret

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// maxBytes bounds a secret. Secrets Manager takes up to 64 KiB.
const maxBytes = 64 << 10

// Manager reads a secret of AWS Secrets Manager.
type Manager interface {
	Secret(ctx context.Context, arn string) (string, error)
}

// Reader reads secrets. A nil Manager fails for the references that need one.
type Reader struct {
	Manager Manager
}

var (
	variable = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)
	managed  = regexp.MustCompile(`^arn:aws[a-z-]*:secretsmanager:[a-z0-9-]+:[0-9]{12}:secret:[A-Za-z0-9/_+=.@-]+$`)
)

// Check fails for a text that is no reference. The error does not repeat the
// text: it may be a secret that was written in the place of a reference.
func Check(ref string) error {
	kind, name, _ := strings.Cut(ref, ":")
	switch {
	case kind == "env" && variable.MatchString(name):
	case kind == "file" && filepath.IsAbs(name):
	case kind == "arn" && managed.MatchString(ref):
	default:
		return errors.New("refer to the secret as env:NAME, file:/absolute/path, or by its ARN in Secrets Manager; the secret itself does not belong here")
	}
	return nil
}

// Read returns the secret without surrounding white space. It fails for an
// empty secret.
func (r Reader) Read(ctx context.Context, ref string) (string, error) {
	if err := Check(ref); err != nil {
		return "", fmt.Errorf("read secret: %w", err)
	}
	text, err := r.read(ctx, ref)
	if err != nil {
		return "", fmt.Errorf("read secret %s: %w", ref, err)
	}
	text = strings.TrimSpace(text)
	if text == "" || len(text) > maxBytes {
		return "", fmt.Errorf("read secret %s: it has %d bytes, not 1 to %d", ref, len(text), maxBytes)
	}
	return text, nil
}

func (r Reader) read(ctx context.Context, ref string) (string, error) {
	kind, name, _ := strings.Cut(ref, ":")
	switch kind {
	case "env":
		text, set := os.LookupEnv(name)
		if !set {
			return "", errors.New("this process has no such environment variable")
		}
		return text, nil
	case "file":
		data, err := os.ReadFile(name)
		return string(data), err
	}
	if r.Manager == nil {
		return "", errors.New("this process has no access to Secrets Manager")
	}
	return r.Manager.Secret(ctx, ref)
}
