package config

import (
	"strings"

	"github.com/alecthomas/kong"
)

// environment gives the settings of this package environment variables. The
// other flags say what a single command does, such as redrive, remove or wait.
// They have no variables, since a variable would apply to every command of a
// session.
func environment(k *kong.Kong) error {
	settings := map[string]bool{}
	model, err := kong.New(&struct {
		Fleet
		Process
		Dispatcher
		Worker
	}{}, kong.Vars{"admin_addr": ""})
	if err != nil {
		return err
	}
	for _, f := range model.Model.Flags {
		settings[f.Name] = f.Name != "help"
	}
	return eachFlag(k.Model.Node, func(f *kong.Flag) error {
		if settings[f.Name] && len(f.Envs) == 0 {
			name := "SCRIPTFLEET_" + strings.ToUpper(strings.ReplaceAll(f.Name, "-", "_"))
			f.Envs, f.Tag.Envs = []string{name}, []string{name}
		}
		return nil
	})
}
