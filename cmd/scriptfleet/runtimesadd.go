package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"regexp"
	"slices"

	"github.com/scriptfleet/scriptfleet/pkg/config"
	"github.com/scriptfleet/scriptfleet/pkg/editfile"
	"github.com/scriptfleet/scriptfleet/pkg/run"
	"github.com/scriptfleet/scriptfleet/pkg/runtimezip"
)

type runtimesAdd struct {
	operator
	config.Large
	config.RuntimeTable
	config.Processor
	Name    string   `arg:"" help:"Name by which requests ask for it, such as python3.13-own."`
	Zip     string   `required:"" type:"existingfile" placeholder:"FILE" help:"ZIP with bin/python3 and its lib."`
	Tenant  []string `help:"Tenant that may use it; once for each. All by default."`
	Replace bool     `help:"Replace the entry of this name: its scripts are built again."`
}

// Help is shown below the flags.
func (runtimesAdd) Help() string {
	return `The ZIP has bin/python3 and lib/python3.X at its top, and whatever else the interpreter needs, such as shared libraries in lib: at most 248 MiB unpacked and 100,000 entries. It is checked at once: layout, paths and links, the processor of every program in it, and that none needs a newer C library than that of Amazon Linux 2023, glibc 2.34. What is at fault is named, and nothing is changed.

Then it is stored in the fleet's bucket under its digest, and the table of runtimes (--runtimes) gets an entry that names the digest. The dispatchers and workers that have this table read it within seconds. On Lambda, functions are made on provided.al2023 with the ZIP as a layer. Another ZIP under the same name makes other functions, so no run gets an interpreter that it was not built for.

The interpreter is the operator's to keep secure: Lambda does not patch it. boto3 is not in it, unless the ZIP has it; scripts require it.

A portable build of Python, as uv fetches it, is packed so:

  uv python install 3.13 --install-dir pythons
  (cd pythons/cpython-3.13*/ && zip --symlinks -qr ../python.zip bin/python3* lib/libpython3* lib/python3.13 -x '*/test/*' '*/__pycache__/*')

Examples:

  scriptfleet runtimes add python3.13-own --zip pythons/python.zip --runtimes runtimes.json
  scriptfleet runtimes add python3.13-own --zip pythons/python.zip --runtimes runtimes.json --tenant acme --replace`
}

var runtimeName = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]{0,62}$`)

func (c *runtimesAdd) Run(ctx context.Context) error {
	if err := c.check(); err != nil {
		return exitError{exitUsage, err}
	}
	data, err := os.ReadFile(c.Zip)
	if err != nil {
		return err
	}
	rt, err := runtimezip.Check(data, c.Arch)
	if err != nil {
		return exitError{exitUsage, fmt.Errorf("%s is no runtime: %w", c.Zip, err)}
	}
	entry, err := json.Marshal(map[string]any{"name": c.Name, "lambda": run.Custom, "python": rt.Python, "platform": runtimezip.Platform, "zip": rt.SHA256, "tenants": slices.Sorted(slices.Values(c.Tenant))})
	if err != nil {
		return fmt.Errorf("encode the entry: %w", err)
	}
	fleet, err := c.open(ctx, config.Fleet{Large: c.Large})
	if err != nil {
		return err
	}
	defer fleet.Close()
	zips := fleet.RuntimeZips()
	if zips.Store == nil {
		return exitError{exitUsage, errors.New("no bucket is set, and ZIPs of runtimes are kept in it: give --bucket or SCRIPTFLEET_BUCKET, or take the environment that scriptfleet local prints")}
	}
	if err := zips.Put(ctx, rt, data); err != nil { // first, so that no entry names a ZIP that is not there
		return err
	}
	err = editTable(c.RuntimesFile, func(entries []json.RawMessage) ([]json.RawMessage, error) {
		at := entryOf(entries, c.Name)
		switch {
		case at < 0:
			return append(entries, entry), nil
		case !c.Replace && !same(entries[at], entry):
			return nil, exitError{exitUsage, fmt.Errorf("%s has another entry %q: give --replace to replace it", c.RuntimesFile, c.Name)}
		}
		entries[at] = entry
		return entries, nil
	})
	if err != nil {
		return err
	}
	if c.JSON {
		return printJSON(json.RawMessage(entry))
	}
	fmt.Printf("%s is Python %s with %d files of %d MiB, ZIP %s; %s names it, and the fleet reads that within seconds\n",
		c.Name, rt.Python, rt.Entries, rt.UnpackedBytes>>20, rt.SHA256[:12], c.RuntimesFile)
	return nil
}

func (c *runtimesAdd) check() error {
	if _, own := run.Runtimes().Find(c.Name); own {
		return fmt.Errorf("%s is one of Lambda's own runtimes: choose another name, so that nobody takes the one for the other", c.Name)
	}
	if !runtimeName.MatchString(c.Name) {
		return fmt.Errorf("the name %q is not valid: use 1 to 63 of a-z, 0-9, dots, hyphens and underscores, first a letter or a digit", c.Name)
	}
	for _, t := range c.Tenant {
		if bad := run.CheckTenant(t); bad != nil {
			return errors.New(bad.Message)
		}
	}
	return needTable(c.RuntimesFile)
}

func needTable(file string) error {
	if file == "" {
		return errors.New("no table of runtimes is named: give --runtimes FILE, the file that dispatcher and worker have; add makes it if it is missing")
	}
	return nil
}

// editTable replaces the entries of the table. It fails, and changes nothing, if
// the file or its new contents are not valid.
func editTable(file string, change func([]json.RawMessage) ([]json.RawMessage, error)) error {
	return editfile.Edit(file, editfile.File{Text: []byte(`{"runtimes": []}`), Mode: 0o644}, func(text []byte) ([]byte, error) {
		if _, err := run.Runtimes().Extended(text); err != nil {
			return nil, exitError{exitUsage, fmt.Errorf("edit %s: %w; mend the file first", file, err)}
		}
		var table struct {
			Runtimes []json.RawMessage `json:"runtimes"`
		}
		err := json.Unmarshal(text, &table)
		if err != nil {
			return nil, fmt.Errorf("edit %s: %w", file, err)
		}
		if table.Runtimes, err = change(table.Runtimes); err != nil {
			return nil, err
		}
		var out bytes.Buffer
		enc := json.NewEncoder(&out)
		enc.SetIndent("", "  ")
		if err := enc.Encode(table); err != nil {
			return nil, fmt.Errorf("edit %s: %w", file, err)
		}
		if _, err := run.Runtimes().Extended(out.Bytes()); err != nil {
			return nil, fmt.Errorf("edit %s: %w", file, err)
		}
		return out.Bytes(), nil
	})
}

func entryOf(entries []json.RawMessage, name string) int {
	return slices.IndexFunc(entries, func(e json.RawMessage) bool {
		var named struct {
			Name string `json:"name"`
		}
		return json.Unmarshal(e, &named) == nil && named.Name == name
	})
}

func same(a, b json.RawMessage) bool {
	var x, y map[string]any
	return json.Unmarshal(a, &x) == nil && json.Unmarshal(b, &y) == nil && fmt.Sprint(x) == fmt.Sprint(y)
}

type runtimesRemove struct {
	config.RuntimeTable
	Name string `arg:"" help:"Name of the runtime."`
	JSON bool   `name:"json" help:"Print JSON."`
}

// Help is shown below the flags.
func (runtimesRemove) Help() string {
	return `Later requests that name the runtime are rejected, and so are accepted runs that have not begun. Its functions stay until scriptfleet functions remove removes them, and its ZIP stays in the fleet's bucket, below <prefix>/runtimes/.

Examples:

  scriptfleet runtimes remove python3.13-own --runtimes runtimes.json`
}

func (c *runtimesRemove) Run() error {
	if err := needTable(c.RuntimesFile); err != nil {
		return exitError{exitUsage, err}
	}
	err := editTable(c.RuntimesFile, func(entries []json.RawMessage) ([]json.RawMessage, error) {
		at := entryOf(entries, c.Name)
		if at < 0 {
			return nil, exitError{exitUsage, fmt.Errorf("%s has no entry %q: scriptfleet runtimes list shows what there is", c.RuntimesFile, c.Name)}
		}
		return slices.Delete(entries, at, at+1), nil
	})
	switch {
	case err != nil:
		return err
	case c.JSON:
		return printJSON(map[string]any{"runtime": c.Name, "removed": true})
	}
	fmt.Printf("%s is removed from %s, and the fleet reads that within seconds\n", c.Name, c.RuntimesFile)
	return nil
}
