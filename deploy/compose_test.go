package deploy

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/compose-spec/compose-go/v2/loader"
	"github.com/compose-spec/compose-go/v2/types"

	"github.com/scriptfleet/scriptfleet/pkg/fleettest/files"
)

func compose(t *testing.T) *types.Project {
	t.Helper()
	file, err := filepath.Abs("../docker-compose.yml")
	if err != nil {
		t.Fatal(err)
	}
	project, err := loader.LoadWithContext(t.Context(), types.ConfigDetails{
		WorkingDir:  filepath.Dir(file),
		ConfigFiles: []types.ConfigFile{{Filename: file}},
		Environment: types.Mapping{}, // the test is about the defaults only
	})
	if err != nil {
		t.Fatalf("Compose refuses docker-compose.yml: %v", err)
	}
	return project
}

func TestComposeAcceptsTheFileWithoutAnyEnvironment(t *testing.T) {
	names := compose(t).ServiceNames()
	slices.Sort(names)
	want := []string{"dispatcher", "grafana", "local", "prometheus", "redis", "worker-1", "worker-2"}
	if !slices.Equal(names, want) {
		t.Errorf("services: %q, want %q", names, want)
	}
}

var patchVersion = regexp.MustCompile(`:v?\d+\.\d+\.\d+(-[a-z0-9]+)*$`)

func TestEveryImageIsPinnedToAPatchVersion(t *testing.T) {
	for name, s := range compose(t).Services {
		if ours := strings.HasPrefix(s.Image, "scriptfleet/"); !ours && !patchVersion.MatchString(s.Image) {
			t.Errorf("%s takes the image %s", name, s.Image)
		}
	}
	for _, s := range stages(t) {
		if _, ours := stage(t, s.from); !ours && s.from != "scratch" && !patchVersion.MatchString(s.from) {
			t.Errorf("stage %s takes the image %s", s.name, s.from)
		}
	}
}

func TestPartsShareTheLoopbackOfTheStackAndPublishNothing(t *testing.T) {
	project := compose(t)
	for _, name := range []string{"dispatcher", "worker-1", "worker-2"} {
		s := project.Services[name]
		if s.NetworkMode != "service:local" {
			t.Errorf("%s has the network %q", name, s.NetworkMode)
		}
		if s.Image != project.Services["local"].Image {
			t.Errorf("%s takes the image %s, which nothing here builds", name, s.Image)
		}
		if d := s.DependsOn["local"]; d.Condition != types.ServiceConditionHealthy || !d.Restart {
			t.Errorf("%s does not follow a restart of local, after which keys and network are new", name)
		}
		if !s.ReadOnly || !slices.Contains(s.CapDrop, "ALL") {
			t.Errorf("%s may write to its image or has capabilities", name)
		}
	}
	for name, s := range project.Services {
		for _, p := range s.Ports {
			if p.HostIP != "127.0.0.1" {
				t.Errorf("%s publishes port %s to the network", name, p.Published)
			}
		}
	}
}

func TestComposeRunsFlagsThatTheBinariesTake(t *testing.T) {
	project := compose(t)
	for _, name := range []string{"dispatcher", "worker-1", "worker-2"} {
		command := project.Services[name].Command
		parses(t, "docker-compose.yml, "+name, command[0], command[1:])
	}
}

func TestPrometheusScrapesWhereThePartsOfComposeListen(t *testing.T) {
	config := files.Read(t, "../dashboards/prometheus.yml")
	for _, name := range []string{"dispatcher", "worker-1", "worker-2"} {
		command := compose(t).Services[name].Command
		i := slices.Index(command, "--admin-addr")
		if target := strings.Replace(command[i+1], "0.0.0.0", "local", 1); !strings.Contains(config, `"`+target+`"`) {
			t.Errorf("dashboards/prometheus.yml does not scrape %s, which is %s", target, name)
		}
	}
}

func TestEveryFileThatComposeMountsIsThere(t *testing.T) {
	for name, s := range compose(t).Services {
		for _, v := range s.Volumes {
			if v.Type != types.VolumeTypeBind {
				continue
			}
			if info, err := os.Stat(v.Source); err != nil || !info.Mode().IsRegular() {
				t.Errorf("%s mounts %s, which is no file", name, v.Source)
			}
		}
	}
}
