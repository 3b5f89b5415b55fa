package version

import (
	"runtime/debug"
	"testing"
)

func TestTheReleaseComesBeforeWhatTheGoToolStamped(t *testing.T) {
	module := debug.BuildInfo{Main: debug.Module{Version: "v1.2.3"}}
	commit := func(modified string) debug.BuildInfo {
		return debug.BuildInfo{Main: debug.Module{Version: "(devel)"}, Settings: []debug.BuildSetting{
			{Key: "vcs.revision", Value: "0123456789abcdef0123"}, {Key: "vcs.modified", Value: modified},
		}}
	}
	for _, c := range []struct {
		release string
		info    debug.BuildInfo
		want    string
	}{
		{"v2.0.0", module, "v2.0.0"},
		{"", module, "v1.2.3"},
		{"", commit("false"), "0123456789ab"},
		{"", commit("true"), "0123456789ab+dirty"},
		{"", debug.BuildInfo{}, "devel"},
	} {
		if got := of(c.release, c.info); got != c.want {
			t.Errorf("%s, not %s", got, c.want)
		}
	}
}
