package function

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"sync"

	"github.com/scriptfleet/scriptfleet/pkg/run"
)

// Handler is what Spec.Handler of every function is.
const Handler = "scriptfleet_handler.handle"

// The files of a function's zip, beside the handler's others. The author's
// script is in it byte for byte.
const (
	handlerFile = "scriptfleet_handler.py"
	pythonFile  = "script.py"
	shellFile   = "script.sh"
	timeoutFile = "scriptfleet_timeout" // in seconds
)

//go:embed handler/scriptfleet_*.py
var handlerFolder embed.FS

// handlerFiles are the handler's modules, sorted by name.
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
		files = append(files, file{e.Name(), body})
	}
	return files
})

// HandlerVersion is a digest of what a function holds beside its script, and of
// how it is laid out. It is part of every script's hash: a release that changes
// any of it makes other functions, and a release that does not, which is most of
// them, builds none again. So the release's own version is no part of it.
var HandlerVersion = sync.OnceValue(func() string {
	return versionOf(contents(run.Script{}), contents(run.Script{Runtime: run.Runtime{Shell: true}}))
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
