package main

import (
	"fmt"
	"os"

	"github.com/alecthomas/kong"
)

// requirementsFile is the path of a file of requirements, which exists.
type requirementsFile string

// Decode reads the path from the command line. Who gives a requirement in place
// of a file learns what to do.
func (f *requirementsFile) Decode(ctx *kong.DecodeContext) error {
	var path string
	if err := ctx.Scan.PopValueInto("file", &path); err != nil {
		return err
	}
	path = kong.ExpandPath(path)
	switch info, err := os.Stat(path); {
	case os.IsNotExist(err):
		return fmt.Errorf("there is no file %s: write the requirements into one, one on each line, such as humanize==4.12.3", path)
	case err != nil:
		return err
	case info.IsDir():
		return fmt.Errorf("%s is a folder, and a file of requirements is wanted", path)
	}
	*f = requirementsFile(path)
	return nil
}
