package main

import (
	"embed"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"text/template"

	"github.com/alecthomas/kong"
)

type completionCommand struct {
	Shell string `arg:"" enum:"bash,zsh,fish" help:"The shell: bash, zsh or fish."`
}

// Help is shown below the flags.
func (completionCommand) Help() string {
	return `Prints what completes the commands, their flags and the values of these in a shell.

Examples:

  scriptfleet completion bash > /etc/bash_completion.d/scriptfleet
  source <(scriptfleet completion zsh)                              # in .zshrc, after compinit
  scriptfleet completion fish > ~/.config/fish/completions/scriptfleet.fish`
}

func (c *completionCommand) Run(k *kong.Kong) error {
	return writeCompletion(os.Stdout, c.Shell, k.Model.Node)
}

//go:embed completions
var completions embed.FS

// completed is a command as the templates of the shells have it. Its flags are
// those of the command's own help.
type completed struct {
	Path     string // such as "dlq list"; "" for scriptfleet itself
	Commands []described
	Flags    []completedFlag
	File     bool // it takes a file as its argument
}

type described struct{ Name, Help string }

type completedFlag struct {
	described
	Value bool // it takes a value
	File  bool // which is a file
	Enum  []string
}

func writeCompletion(w io.Writer, shell string, root *kong.Node) error {
	page, err := template.New(shell).Funcs(template.FuncMap{"quote": singleQuoted, "join": strings.Join, "before": before}).
		ParseFS(completions, "completions/"+shell)
	if err == nil {
		err = page.ExecuteTemplate(w, shell, completedOf(root, ""))
	}
	if err != nil {
		return fmt.Errorf("write the completion of %s: %w", shell, err)
	}
	return nil
}

// completedOf lists a command and all below it.
func completedOf(n *kong.Node, path string) []completed {
	c := completed{Path: path}
	if d := n.DefaultCmd; d != nil { // its flags may stand without its name
		c.addFlags(d)
	}
	c.addFlags(n)
	for _, p := range n.Positional {
		c.File = c.File || p.Tag.Type != "" || p.Name == "file"
		for _, value := range valuesOf(p) {
			c.Commands = append(c.Commands, described{value, before(p.Help)})
		}
	}
	all := []completed{c}
	for _, child := range n.Children {
		if child.Hidden {
			continue
		}
		all[0].Commands = append(all[0].Commands, described{child.Name, before(child.Help)})
		all = append(all, completedOf(child, strings.TrimSpace(path+" "+child.Name))...)
	}
	return all
}

// addFlags adds the flags of a command and of those above it, each once.
func (c *completed) addFlags(n *kong.Node) {
	for _, group := range n.AllFlags(true) {
		for _, f := range group {
			if !slices.ContainsFunc(c.Flags, func(g completedFlag) bool { return g.Name == f.Name }) {
				c.Flags = append(c.Flags, completeFlag(f))
			}
		}
	}
}

func completeFlag(f *kong.Flag) completedFlag {
	_, isFile := f.Target.Addr().Interface().(*requirementsFile)
	isFile = isFile || f.Tag.Type == "path" || f.Tag.Type == "existingfile"
	shown := completedFlag{described: described{f.Name, before(f.Help)}, Value: !f.IsBool(), File: isFile}
	shown.Enum = valuesOf(f.Value)
	return shown
}

// valuesOf are the values that a flag or an argument may have; none for any.
func valuesOf(v *kong.Value) []string {
	return slices.DeleteFunc(strings.Split(v.Enum, ","), func(value string) bool { return value == "" })
}

// before is the first sentence of a help.
func before(help string) string {
	for _, end := range []string{". ", "; ", ": "} {
		if first, _, found := strings.Cut(help, end); found {
			help = first
		}
	}
	return strings.TrimSuffix(help, ".")
}

// singleQuoted quotes text for a POSIX shell and for fish.
func singleQuoted(text string) string {
	return "'" + strings.NewReplacer(`\`, `\\`, "'", `'\''`).Replace(text) + "'"
}
