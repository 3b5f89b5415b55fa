package function

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"sync"
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

// HandlerVersion is a digest of the handler's source. It is part of every
// script's hash, so that a fleet with another handler makes other functions.
var HandlerVersion = sync.OnceValue(func() string {
	digest := sha256.New()
	for _, f := range handlerFiles() {
		fmt.Fprintf(digest, "%s %d\n%s", f.name, len(f.body), f.body)
	}
	return hex.EncodeToString(digest.Sum(nil)[:8])
})
