package layer

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/scriptfleet/scriptfleet/pkg/panics"
	"github.com/scriptfleet/scriptfleet/pkg/run"
)

// Causes for stopping a build before its installer ends.
var (
	errTimeout    = errors.New("the build's time is up")
	errTooLarge   = errors.New("the build has outgrown its limit")
	errUnresolved = errors.New("pip has found no versions that fit together")
)

// workshop is the folder of one build: the build can write only there, and only
// it can.
type workshop struct {
	root   string
	target string // becomes python/ in the layer
	home   string // HOME and TMPDIR, without any user's settings
	reqs   string // the requirements file
}

// make builds a layer in a new workshop. With an error the returned Layer has
// the log.
func (b *Builder) make(ctx context.Context, s run.Script) (Layer, error) {
	log := newBuildLog(func(line string) {
		if b.deps.Progress != nil {
			b.deps.Progress(s.EnvHash, line)
		}
	})
	work, err := b.openWorkshop(s)
	if err != nil {
		return Layer{}, b.blame(ctx, err, s, nil)
	}
	defer os.RemoveAll(work.root)
	log.hide(work.root)
	for _, python := range b.deps.Interpreters {
		log.hide(filepath.Dir(python.Path))
	}

	timed, cancel := context.WithTimeoutCause(ctx, b.cfg.Timeout, errTimeout)
	defer cancel()
	sized, stop := context.WithCancelCause(timed)
	defer stop(nil)
	sizes := newSizes(b.cfg.MaxUnpackedBytes, stop)
	log.tap(sizes.read)
	watched := watchSize(sized, work.root, sizes, stop)

	l, err := b.guarded(sized, s, work, log)
	sizes.end()
	stop(nil)
	<-watched
	if err != nil {
		err = b.blame(ctx, err, s, sizes)
		log.line("failed: " + err.Error())
	}
	l.Log = log.String()
	return l, err
}

// guarded runs steps and returns a panic as an error, so that a panic, also in
// a goroutine of the build, fails this build only.
func (b *Builder) guarded(ctx context.Context, s run.Script, work workshop, log *buildLog) (l Layer, err error) {
	if p := panics.Catch(func() { l, err = b.steps(ctx, s, work, log) }); p != nil {
		return Layer{}, p
	}
	return l, err
}

// steps runs install, compile and pack. blame turns its error into a run.Error.
func (b *Builder) steps(ctx context.Context, s run.Script, work workshop, log *buildLog) (Layer, error) {
	installer, plain, err := b.install(ctx, s, work, log)
	if err != nil {
		return Layer{}, err
	}
	packages := installer.withHashes(ctx, plain.resolved(), s, work)
	defer packages() // it uses the workshop
	if size := plain.bytes(); size > b.cfg.MaxUnpackedBytes {
		return Layer{}, tooLarge(size, b.cfg.MaxUnpackedBytes, plain.largest())
	}
	full := plain
	if b.compile(ctx, s, work, plain, log) {
		if full, err = readTree(work.target); err != nil {
			return Layer{}, err
		}
	}
	if full.bytes() > b.cfg.MaxUnpackedBytes {
		log.line("bytecode left out: with it the layer would be over the limit")
		full = plain
	}
	if err := context.Cause(ctx); err != nil {
		return Layer{}, err
	}
	l, err := pack(full)
	l.UnpackedBytes, l.Packages = full.bytes(), packages()
	return l, err
}

// install returns the layer's files without bytecode, and the installer that
// installed them.
func (b *Builder) install(ctx context.Context, s run.Script, work workshop, log *buildLog) (installer installer, files tree, err error) {
	installer = b.installer
	if installer.uv, err = b.uv.get(ctx, log); err != nil {
		return installer, nil, err
	}
	if installer, err = installer.of(ctx, s, b.deps.PrivateIndex); err != nil {
		return installer, nil, err
	}
	denied := b.denied()
	if err := refuseDenied(denied, s); err != nil {
		return installer, nil, err
	}
	if err := installer.install(ctx, s, work, log); err != nil {
		return installer, nil, becauseDenied(denied, installer.ofPrivate(err, s))
	}
	if err := dropBytecode(work.target); err != nil {
		return installer, nil, err
	}
	installed, err := readTree(work.target)
	if err != nil {
		return installer, nil, err
	}
	if p, found := denied.First(installed.resolved()); found {
		return installer, nil, packageDenied(denied, p, installed.whoNeeds(p.Name))
	}
	files, err = withoutShadows(installed, s, work, log)
	return installer, files, err
}

// downloads is the build's own download cache.
func (w workshop) downloads() string { return filepath.Join(w.root, "downloads") }

func (b *Builder) openWorkshop(s run.Script) (workshop, error) {
	root, err := b.cache.workDir()
	if err != nil {
		return workshop{}, fmt.Errorf("make build folder: %w", err)
	}
	w := workshop{
		root:   root,
		target: filepath.Join(root, "python"),
		home:   root,
		reqs:   filepath.Join(root, "requirements.txt"),
	}
	if err := os.Mkdir(w.built(), 0o755); err != nil {
		os.RemoveAll(root)
		return workshop{}, fmt.Errorf("make build folder: %w", err)
	}
	for path, text := range map[string]string{w.reqs: strings.TrimRight(s.Requirements, "\n") + "\n", w.constraints(): b.denied().Constraints()} {
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			os.RemoveAll(root)
			return workshop{}, fmt.Errorf("write requirements: %w", err)
		}
	}
	return w, nil
}

// blame turns err into a *run.Error with its owner. It returns the error of the
// caller's context, and a panic, unchanged; the caller reports a panic.
func (b *Builder) blame(ctx context.Context, err error, s run.Script, sizes *sizes) error {
	var known *run.Error
	var panicked *panics.Error
	switch {
	case errors.As(err, &panicked):
		return fmt.Errorf("build layer: %w", panicked)
	case ctx.Err() != nil:
		return fmt.Errorf("build layer: %w", context.Cause(ctx))
	case errors.As(err, &known):
		return known
	case errors.Is(err, errTooLarge), outgrown(err):
		return tooLarge(0, b.cfg.MaxUnpackedBytes, sizes.largest())
	case errors.Is(err, errUnresolved):
		return unresolved(sizes.mostTried())
	case errors.Is(err, errTimeout), errors.Is(err, context.DeadlineExceeded):
		return operatorError(TypeBuildTimeout, "The requirements could not be installed within %.0f seconds. Send the run again; if it happens again, the operator has to look at the way to the package index.", b.cfg.Timeout.Seconds())
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return diskFull()
	}
	return &run.Error{Owner: run.OwnerPlatform, Type: TypeBuildError, Retryable: true,
		Message: fmt.Sprintf("The layer for %s could not be built: %v. Try again later, and tell the platform's team if it stays so.", s.Runtime.Name, err)}
}

// outgrown tells whether a program was ended because it wrote one file larger
// than the limit of a layer.
func outgrown(err error) bool {
	var exit *exitError
	return errors.As(err, &exit) && exit.signal == syscall.SIGXFSZ.String()
}

// watchSize stops the build when its folder exceeds sizes.room. It ends with
// ctx and then closes the channel.
func watchSize(ctx context.Context, dir string, sizes *sizes, stop context.CancelCauseFunc) <-chan struct{} {
	done := make(chan struct{})
	go func() {
		defer close(done)
		if p := panics.Catch(func() { lookAtSize(ctx, dir, sizes, stop) }); p != nil {
			stop(p)
		}
	}()
	return done
}

func lookAtSize(ctx context.Context, dir string, sizes *sizes, stop context.CancelCauseFunc) {
	tick := time.NewTicker(500 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			if room, over := sizes.room(); diskUse(dir) > room {
				stop(over)
			}
		}
	}
}
