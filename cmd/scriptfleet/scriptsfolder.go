package main

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/BurntSushi/toml"

	"github.com/scriptfleet/scriptfleet/pkg/registry"
	"github.com/scriptfleet/scriptfleet/pkg/run"
)

// folderFile is the name of the file that lists the scripts of a folder.
const folderFile = "scriptfleet.toml"

// folder is its content.
type folder struct {
	Tenant  string         `toml:"tenant"`
	Scripts []folderScript `toml:"script"`
}

// folderScript is one script. Paths are below the folder.
type folderScript struct {
	ID           string   `toml:"id"`
	File         string   `toml:"file"`
	Requirements string   `toml:"requirements"`
	Runtime      string   `toml:"runtime"`
	Timeout      int      `toml:"timeout"`
	Allow        []string `toml:"allow"`
	Readers      []string `toml:"readers"`
}

// readFolder reads the scripts of a folder. A tenant that is given wins over
// the file's.
func readFolder(path, tenant, label string) ([]registry.Push, error) {
	file := filepath.Join(path, folderFile)
	text, err := readText(file)
	if err != nil {
		return nil, fmt.Errorf("read the folder's list of scripts: %w", err)
	}
	f, err := parseFolder(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	if tenant == "" {
		tenant = f.Tenant
	}
	if tenant == "" {
		return nil, fmt.Errorf("%s names no tenant: add it, or give --tenant", file)
	}
	var pushes []registry.Push
	for _, s := range f.Scripts {
		p, err := s.push(tenant, label, func(name string) string { return filepath.Join(path, filepath.FromSlash(name)) })
		if err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		pushes = append(pushes, p)
	}
	return pushes, nil
}

// parseFolder reads a scriptfleet.toml. It refuses keys that it does not know,
// paths that lead out of the folder, and an id that is there twice.
func parseFolder(text string) (folder, error) {
	var f folder
	read, err := toml.Decode(text, &f)
	if err != nil {
		return f, err
	}
	if more := read.Undecoded(); len(more) > 0 {
		return f, fmt.Errorf("%s is no setting: take it out, or correct its name (there are tenant, and of each [[script]] id, file, requirements, runtime, timeout, allow, readers)", more[0])
	}
	if len(f.Scripts) == 0 {
		return f, errors.New("it lists no script: add a [[script]] with id and file")
	}
	seen := map[string]bool{}
	for i, s := range f.Scripts {
		switch {
		case s.ID == "" || s.File == "":
			return f, fmt.Errorf("[[script]] %d has no id or no file: add it", i+1)
		case seen[s.ID]:
			return f, fmt.Errorf("script %s is there twice: leave one", s.ID)
		case !filepath.IsLocal(filepath.FromSlash(s.File)) || s.Requirements != "" && !filepath.IsLocal(filepath.FromSlash(s.Requirements)):
			return f, fmt.Errorf("script %s has a file outside of the folder: name one below it", s.ID)
		}
		seen[s.ID] = true
	}
	return f, nil
}

// push reads the script's files.
func (s folderScript) push(tenant, label string, at func(name string) string) (registry.Push, error) {
	name, ref, err := reference(tenant, s.ID)
	if err != nil {
		return registry.Push{}, err
	}
	if ref.String() != ref.ID {
		return registry.Push{}, fmt.Errorf("script %s: the id of a push has no version and no label: use --label", s.ID)
	}
	p := registry.Push{Name: name, Label: label, Pushed: run.Pushed{Runtime: s.Runtime, TimeoutSeconds: s.Timeout}}
	if p.Pushed.Source, err = readText(at(s.File)); err != nil {
		return p, fmt.Errorf("read the script %s: %w", s.ID, err)
	}
	if s.Requirements != "" {
		if p.Pushed.Requirements, err = readText(at(s.Requirements)); err != nil {
			return p, fmt.Errorf("read the requirements of script %s: %w", s.ID, err)
		}
	}
	if bad := p.Pushed.Check(); bad != nil {
		return p, fmt.Errorf("script %s: %s", s.ID, strings.ReplaceAll(bad.Message, "data.", ""))
	}
	if s.Allow != nil || s.Readers != nil {
		sharing, err := callers{s.Allow, s.Readers}.sharing()
		if err != nil {
			return p, fmt.Errorf("script %s: %w", s.ID, err)
		}
		p.Sharing = &sharing
	}
	return p, nil
}
