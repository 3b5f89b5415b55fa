package config

import (
	"strings"

	"github.com/alecthomas/kong"
)

// environment gives the settings of this package environment variables. Other
// flags say what one command is to do, and have none: what is set for a whole
// session must not redrive, remove or wait.
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
