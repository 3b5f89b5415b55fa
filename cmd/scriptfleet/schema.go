package main

import (
	"embed"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
)

type schemaCommand struct {
	Command []string `arg:"" optional:"" help:"The command, such as runs list; all commands are listed without it."`
}

// Help is shown below the flags.
func (schemaCommand) Help() string {
	return `Prints the JSON Schema of what a command prints with --json: each line is one object of this form. A later release may add fields, here too; none changes its meaning.

Examples:

  scriptfleet schema
  scriptfleet schema runs list > runs.schema.json`
}

//go:embed schemas
var schemas embed.FS

// schemaFiles are the files of the schemas by command.
func schemaFiles() map[string]string {
	files := map[string]string{}
	entries, err := schemas.ReadDir("schemas")
	if err != nil {
		panic(err) // they are in the binary
	}
	for _, e := range entries {
		command := strings.Replace(strings.TrimSuffix(e.Name(), ".schema.json"), "-", " ", 1)
		files[command] = "schemas/" + e.Name()
	}
	return files
}

func (c *schemaCommand) Run() error {
	files := schemaFiles()
	if len(c.Command) == 0 {
		for _, name := range slices.Sorted(maps.Keys(files)) {
			fmt.Println(name)
		}
		return nil
	}
	name := strings.Join(c.Command, " ")
	file, ok := files[name]
	if _, byDefault := files[name+" list"]; !ok && byDefault {
		file, ok = files[name+" list"], true
	}
	if !ok {
		return exitError{exitUsage, fmt.Errorf("there is no schema of %q: scriptfleet schema lists those that there are; results are in pkg/run/result.schema.json", name)}
	}
	text, err := schemas.ReadFile(file)
	if err != nil {
		return err
	}
	_, err = os.Stdout.Write(text)
	return err
}
