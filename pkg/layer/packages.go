package layer

import (
	"bytes"
	"cmp"
	"encoding/csv"
	"path"
	"slices"
	"strconv"
	"strings"
)

// installedPackage is a package in the target folder.
type installedPackage struct {
	name, version string
	files         []string
	bytes         int64
}

// modules are the package's files and folders directly below python/, without
// its metadata.
func (p installedPackage) modules() []string {
	var tops []string
	for _, f := range p.files {
		if top := topOf(f); !strings.HasSuffix(top, distInfo) && !slices.Contains(tops, top) {
			tops = append(tops, top)
		}
	}
	return tops
}

// packages are the installed packages, by their RECORD files.
func (t tree) packages() []installedPackage {
	var all []installedPackage
	for _, f := range t {
		dir, base := path.Split(f.name)
		if base != "RECORD" || !strings.HasSuffix(strings.TrimSuffix(dir, "/"), distInfo) {
			continue
		}
		p := installedPackage{name: distName(dir), version: distVersion(dir)}
		rows, _ := csv.NewReader(bytes.NewReader(f.content)).ReadAll()
		for _, row := range rows {
			p.files = append(p.files, row[0])
			if len(row) > 2 {
				n, _ := strconv.ParseInt(row[2], 10, 64)
				p.bytes += n
			}
		}
		all = append(all, p)
	}
	return all
}

// sized is a package and its unpacked size in bytes.
type sized struct {
	name  string
	bytes int64
}

// largest are the five largest packages.
func (t tree) largest() []sized {
	var all []sized
	for _, p := range t.packages() {
		all = append(all, sized{name: p.name, bytes: p.bytes})
	}
	return topSized(all)
}

// distName is the package's name in a folder's name such as
// six-1.17.0.dist-info/.
func distName(dir string) string {
	name, _, _ := strings.Cut(path.Base(dir), "-")
	return strings.ReplaceAll(name, "_", "-")
}

// distVersion is the version in such a name.
func distVersion(dir string) string {
	_, version, _ := strings.Cut(strings.TrimSuffix(path.Base(dir), distInfo), "-")
	return version
}

func topSized(all []sized) []sized {
	slices.SortFunc(all, func(a, b sized) int {
		return cmp.Or(cmp.Compare(b.bytes, a.bytes), strings.Compare(a.name, b.name))
	})
	return all[:min(len(all), 5)]
}
