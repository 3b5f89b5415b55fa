// Package version returns the version of a binary.
package version

import (
	"runtime/debug"
)

// release is set by the build of a release:
//
//	go build -ldflags "-X github.com/scriptfleet/scriptfleet/pkg/version.release=v1.2.3"
var release string

// String returns the release. Otherwise it returns what the Go tool recorded:
// the module's version, or the commit, with +dirty if the files were changed.
// If there is none of these, it returns "devel".
func String() string {
	info, ok := debug.ReadBuildInfo()
	if release != "" || !ok {
		return of(release, debug.BuildInfo{})
	}
	return of("", *info)
}

func of(release string, info debug.BuildInfo) string {
	stamped := map[string]string{}
	for _, s := range info.Settings {
		stamped[s.Key] = s.Value
	}
	commit := stamped["vcs.revision"]
	switch {
	case release != "":
		return release
	case info.Main.Version != "" && info.Main.Version != "(devel)":
		return info.Main.Version
	case commit == "":
		return "devel"
	case stamped["vcs.modified"] == "true":
		return commit[:min(len(commit), 12)] + "+dirty"
	}
	return commit[:min(len(commit), 12)]
}
