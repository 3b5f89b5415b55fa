package function

import (
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"sync"
)

// Handler is what Spec.Handler of every function is.
const Handler = "scriptfleet_handler.handle"

// The files of a function's zip. The author's script is in it byte for byte.
const (
	handlerFile = "scriptfleet_handler.py"
	pythonFile  = "script.py"
	shellFile   = "script.sh"
)

//go:embed handler/scriptfleet_handler.py
var handlerSource []byte

// HandlerVersion is a digest of the handler's source. It is part of every
// script's hash, so that a fleet with another handler makes other functions.
var HandlerVersion = sync.OnceValue(func() string {
	sum := sha256.Sum256(handlerSource)
	return hex.EncodeToString(sum[:8])
})
