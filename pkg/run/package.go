package run

import (
	"fmt"
	"strings"
)

// Package is a package of a layer, as it was resolved.
type Package struct {
	Name    string `json:"name"` // in the form of PEP 503
	Version string `json:"version"`
	// SHA256 are the digests, in hex, of the files of this version that fit the
	// layer's runtime; none where the index tells none.
	SHA256 []string `json:"sha256,omitempty"`
}

// String is the package as a requirement, such as requests==2.32.3.
func (p Package) String() string { return p.Name + "==" + p.Version }

// MaxNamedPackages bounds the packages that a result names.
const MaxNamedPackages = 100

// Names returns the packages as requirements: the first MaxNamedPackages.
func Names(packages []Package) []string {
	var names []string
	for _, p := range packages[:min(len(packages), MaxNamedPackages)] {
		names = append(names, p.String())
	}
	return names
}

// Lock returns the packages as the text of a requirements file that allows
// these versions, and these files, alone.
func Lock(packages []Package) string {
	var text strings.Builder
	for _, p := range packages {
		text.WriteString(p.String())
		for _, sum := range p.SHA256 {
			fmt.Fprintf(&text, " \\\n    --hash=sha256:%s", sum)
		}
		text.WriteByte('\n')
	}
	return text.String()
}
