package board

import (
	"slices"
	"strings"
)

// colors are those of series of these names, the same on every panel: green is
// well, blue and purple are neutral, orange is the author's, red the platform's.
var colors = map[string]string{
	"succeeded": "#73bf69", "failed": "#ff9830", "timed_out": "#fade2a", "out_of_memory": "#e0b400", "build_failed": "#fa6400",
	"rejected": "#b877d9", "expired": "#8f3bb8", "cancelled": "#8e8e8e", "platform_error": "#f2495c",

	"moved": "#b877d9", "forwarded": "#73bf69", "duplicate": "#8ab8ff", "buried": "#f2495c", "put_back": "#fade2a", "leave": "#8e8e8e", "bury": "#f2495c", "remove": "#8ab8ff", "answered": "#73bf69",

	"reused": "#73bf69", "built": "#5794f2", "waited": "#b877d9", "bridged": "#37872d", "remembered_failure": "#fa6400", "none": "#8e8e8e", "lost": "#f2495c", "closed": "#8e8e8e",
	"cached": "#73bf69", "failed_author": "#ff9830", "failed_operator": "#e02f44", "failed_platform": "#f2495c", "shared": "#73bf69",

	"intake": "#8ab8ff", "queue": "#5794f2", "build_wait": "#b877d9", "build": "#8f3bb8", "init": "#fade2a", "execute": "#73bf69", "publish": "#8e8e8e",

	"p50": "#73bf69", "p95": "#fade2a", "p99": "#ff9830",

	"running": "#73bf69", "waiting": "#fade2a", "parked": "#b877d9",
	"highest": "#ff9830", "mean": "#5794f2", "lowest": "#73bf69",

	"throttled": "#f2495c", "ambiguous": "#ff9830", "denied": "#e02f44", "unsent": "#b877d9",
}

// palette are the colours of other series, in turn.
var palette = []string{"#5794f2", "#73bf69", "#fade2a", "#ff9830", "#b877d9", "#8ab8ff", "#f2cc0c", "#ff7383", "#37872d", "#a352cc", "#c4162a", "#96d98d"}

// named are the labels whose values have colours, by how a legend names them.
var named = map[string][]string{
	"{{status}}":  {"succeeded", "failed", "timed_out", "out_of_memory", "build_failed", "rejected", "expired", "cancelled", "platform_error"},
	"{{stage}}":   {"intake", "queue", "build_wait", "build", "init", "execute", "publish"},
	"{{verdict}}": {"answered", "remove", "put_back", "bury", "leave"},
	"{{state}}":   {"running", "waiting", "parked"},
	"{{class}}":   {"throttled", "ambiguous", "denied", "unsent"},
	"{{layer}}":   {"shared", "built"},
	"{{outcome}}": {
		"forwarded", "duplicate", "rejected", "cancelled", "failed", "buried", "moved", "put_back", "reused", "built", "waited", "bridged",
		"remembered_failure", "none", "lost", "closed", "cached", "failed_author", "failed_operator", "failed_platform",
	},
}

// knownNames are the names with colours that the panel's series may have.
func (p Panel) knownNames() (names []string) {
	for _, q := range p.Queries {
		if _, ok := colors[q.Legend]; ok {
			names = append(names, q.Legend)
		}
		names = append(names, named[q.Legend]...)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// colorOf is the colour of a series, the nth of its panel.
func colorOf(name string, n int) string {
	if c, ok := colors[strings.TrimSpace(name)]; ok {
		return c
	}
	return palette[n%len(palette)]
}
