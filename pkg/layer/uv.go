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
	uvPatience   = 5 * time.Second  // for the question which version a uv is
	fetchTimeout = 2 * time.Minute  // for one fetch of uv
	fetchAgain   = 10 * time.Minute // after a fetch that failed; builds use pip meanwhile
)

// oldestUV is the minor version from which on uv takes the options that builds
// give it. 0.4.30 does not, 0.5.31 does.
const oldestUV = 6

// uvSource has the uv that builds use: the configured one, the one on the PATH,
// or one that the first build fetches and all later ones share.
type uvSource struct {
	fetch func(ctx context.Context) (path string, err error)
	log   *zap.Logger

	turn  chan struct{} // holds one token while somebody reads or writes what follows
	path  string        // empty while there is none
	never bool          // pip is what the operator wants
	after time.Time     // no fetch before
}

// newUVSource looks for uv where no fetch is needed, and says which installer
// builds will use. It fails where the operator has named a uv that does not
// work.
func newUVSource(cfg Config, log *zap.Logger) (*uvSource, error) {
	u := &uvSource{log: log, turn: make(chan struct{}, 1), never: cfg.UV == NoUV}
	if u.never {
		log.Warn("layers are built with pip, as the settings say; it is slower than uv and gives up on some requirements that uv resolves")
		return u, nil
	}
	if cfg.UV != "" {
		path, version, err := tryUV(cfg.UV)
		if err != nil {
			return nil, fmt.Errorf("uv is set to %s, which %w: set it to a uv that works, to %q for pip, or leave it out", cfg.UV, err, NoUV)
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

// get returns the path of uv, or nothing where the build has to use pip. It
// fails only where ctx ends.
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

// tryUV returns the version of the uv at path, and the file that its links lead
// to. The error is a phrase that follows "which".
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
