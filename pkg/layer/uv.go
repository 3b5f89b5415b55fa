package layer

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"go.uber.org/zap"
)

const (
	uvPatience   = 5 * time.Second  // limit of uv --version
	fetchTimeout = 2 * time.Minute  // limit of one fetch of uv
	fetchAgain   = 10 * time.Minute // pause after a failed fetch; builds use pip meanwhile
)

// oldestUV is the minor version of the first uv 0.x that is accepted: it has
// the options that builds use (0.4.30 lacks them, 0.5.31 has them).
const oldestUV = 6

// uvSource gives builds the path of uv: the configured one, the one on the
// PATH, or one that the first build fetches and all later builds use.
type uvSource struct {
	fetch func(ctx context.Context) (path string, err error)
	log   *zap.Logger

	turn  chan struct{} // a mutex (one token) for the fields below, which ctx can interrupt
	path  string        // empty while none is found
	never bool          // the operator has chosen pip
	after time.Time     // no fetch before this time
}

// SettingError is why New fails where a setting has to be changed.
type SettingError struct{ text string }

func (e *SettingError) Error() string { return e.text }

// newUVSource looks for a uv that need not be fetched, and logs which installer
// builds will use. It fails if the configured uv does not work.
func newUVSource(cfg Config, log *zap.Logger) (*uvSource, error) {
	u := &uvSource{log: log, turn: make(chan struct{}, 1), never: cfg.UV == NoUV}
	if u.never {
		log.Warn("layers are built with pip, as the settings say; it is slower than uv and gives up on some requirements that uv resolves")
		return u, nil
	}
	if cfg.UV != "" {
		path, version, err := tryUV(cfg.UV)
		if err != nil {
			return nil, &SettingError{fmt.Sprintf("uv is set to %s, which %v: set it to a uv that works, to %q for pip, or leave it out", cfg.UV, err, NoUV)}
		}
		u.found(path, version)
		return u, nil
	}
	onPath, err := exec.LookPath("uv")
	if err == nil {
		if path, version, err := tryUV(onPath); err == nil {
			u.found(path, version)
			return u, nil
		}
	}
	if path, version, err := tryUV(fetchedUV(cfg.CacheDir)); err == nil {
		u.found(path, version)
		return u, nil
	}
	log.Info("no uv on the PATH: the first build fetches it from the package index", zap.String("version", uvVersion))
	return u, nil
}

func (u *uvSource) found(path, version string) {
	u.path = path
	u.log.Info("layers are built with uv", zap.String("path", path), zap.String("version", version))
}

// get returns the path of uv, or "" where the build has to use pip. Its only
// error is that of ctx.
func (u *uvSource) get(ctx context.Context, log *buildLog) (string, error) {
	select {
	case u.turn <- struct{}{}:
		defer func() { <-u.turn }()
	case <-ctx.Done():
		return "", context.Cause(ctx)
	}
	if u.path != "" || u.never || time.Now().Before(u.after) {
		return u.path, nil
	}
	log.line("fetching uv " + uvVersion + " from the package index, once for this worker")
	path, err := u.fetch(ctx)
	if ctx.Err() != nil {
		return "", context.Cause(ctx)
	}
	if err != nil {
		u.after = time.Now().Add(fetchAgain)
		log.line("uv could not be fetched")
		u.log.Warn("could not fetch uv: layers are built with pip for now, which is slower and gives up on some requirements that uv resolves",
			zap.Duration("next_try_in", fetchAgain), zap.Error(err))
		return "", nil
	}
	u.found(path, uvVersion)
	return path, nil
}

// tryUV resolves the links of path and returns the real path and the version of
// the uv there. The error is a phrase that continues "uv is set to x, which …".
func tryUV(path string) (real, version string, err error) {
	if real, err = filepath.Abs(path); err == nil {
		real, err = filepath.EvalSymlinks(real)
	}
	if errors.Is(err, fs.ErrNotExist) {
		return "", "", errors.New("does not exist")
	}
	if err != nil {
		return "", "", fmt.Errorf("can not be found: %w", err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), uvPatience)
	defer cancel()
	out, err := exec.CommandContext(ctx, real, "--version").Output()
	if err != nil {
		return "", "", fmt.Errorf("does not run: %w", err)
	}
	fields := strings.Fields(string(out))
	if len(fields) < 2 || fields[0] != "uv" {
		return "", "", errors.New("is not uv")
	}
	var major, minor int
	if _, err := fmt.Sscanf(fields[1], "%d.%d.", &major, &minor); err != nil || major == 0 && minor < oldestUV {
		return "", "", fmt.Errorf("is uv %s, while 0.%d or later is needed", fields[1], oldestUV)
	}
	return real, fields[1], nil
}
