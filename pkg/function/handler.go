package function

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/scriptfleet/scriptfleet/pkg/run"
)

// Handler is the Spec.Handler of the functions of scripts, RunnerHandler of those
// of env runners.
const (
	Handler       = "scriptfleet_handler.handle"
	RunnerHandler = "scriptfleet_runner.handle"
)

// The files of a function's zip besides the handler's modules. The script's
// file holds the author's bytes unchanged.
const (
	handlerFile = "scriptfleet_handler.py"
	pythonFile  = "script.py"
	shellFile   = "script.sh"
	timeoutFile = "scriptfleet_timeout" // in seconds

	// What an env runner has in place of a script: the fields of its hash, as
	// JSON, from which it computes the hash of each script that it is given.
	runnerFile = "scriptfleet_fields"

	// The file of a sealed script: Python finds no source lines for a traceback,
	// whoever writes it. Beside a shell script it is empty.
	sealedFile = "scriptfleet_sealed"

	// What Lambda starts on a custom runtime.
	bootstrapFile = "bootstrap"
)

// bootstrap runs the handler on the interpreter of a custom runtime. The
// embedded stack has a Runtime API of its own, and starts that interpreter with
// its own bootstrap.
//
//go:embed handler/bootstrap.py
var bootstrap []byte

//go:embed handler/scriptfleet_*.py
var handlerFolder embed.FS

// handlerFiles are the handler's modules, sorted by name: those of env runners
// too, which begin with runnerModule.
var handlerFiles = sync.OnceValue(func() []file {
	entries, err := handlerFolder.ReadDir("handler")
	if err != nil {
		panic(fmt.Sprintf("function: read the handler that is built in: %v", err))
	}
	var files []file
	for _, e := range entries {
		body, err := handlerFolder.ReadFile("handler/" + e.Name())
		if err != nil {
			panic(fmt.Sprintf("function: read the handler that is built in: %v", err))
		}
		files = append(files, shared(e.Name(), body))
	}
	return files
})

// modules are those of files that belong into the function of s: an env runner
// has all of them.
func modules(files []file, s run.Script) []file {
	if s.Runner {
		return files
	}
	return slices.DeleteFunc(slices.Clone(files), func(f file) bool { return strings.Contains(f.name, runnerModule) })
}

const runnerModule = "scriptfleet_runner"

// HandlerVersion is a digest of everything in a function's zip besides the
// script, and of the zip's layout. It is part of every script's hash: a release
// that changes any of it makes new functions. Most releases change none of it
// and build nothing again; therefore the release's version number is not part
// of the digest.
var HandlerVersion = sync.OnceValue(func() string {
	return versionOf(contents(run.Script{}), contents(run.Script{Runtime: run.Runtime{Shell: true}}), contents(run.Script{Sealed: true}),
		contents(run.Script{Runtime: run.Runtime{Zip: "any"}}), contents(run.Script{Runner: true}))
})

func versionOf(layouts ...[]file) string {
	digest := sha256.New()
	for _, files := range layouts {
		for _, f := range files {
			fmt.Fprintf(digest, "%s %d\n%s", f.name, len(f.body), f.body)
		}
	}
	return hex.EncodeToString(digest.Sum(nil)[:8])
}
