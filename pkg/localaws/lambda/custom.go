package lambda

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/scriptfleet/scriptfleet/pkg/interpreter"
)

// custom is the runtime whose interpreter is bin/python3 in the function's
// layers. Lambda would start the function's bootstrap; here this package's own
// bootstrap runs the handler, on that interpreter and in the same sandbox as
// other functions.
const custom = "provided.al2023"

// own is the interpreter in the program's layers.
func (p *program) own() (interpreter.Interpreter, error) {
	if _, err := os.Stat(filepath.Join(p.layers, "bin", "python3")); p.layers == "" || err != nil {
		return interpreter.Interpreter{}, fmt.Errorf("a function on %s needs a layer with bin/python3 here (%w)", custom, os.ErrNotExist)
	}
	return interpreter.Interpreter{Path: filepath.Join(p.layer().Path(), "bin", "python3"), Version: custom}, nil
}
