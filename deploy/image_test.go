package deploy

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/scriptfleet/scriptfleet/pkg/fleettest/files"
	"github.com/scriptfleet/scriptfleet/pkg/run"
)

// dockerStage is the instructions of one stage of the Dockerfile, with
// continued lines joined and without comments.
type dockerStage struct {
	name, from   string
	instructions []string
}

var targets = []string{"dispatcher", "worker", "scriptfleet"}

func stages(t *testing.T) (all []dockerStage) {
	t.Helper()
	text := regexp.MustCompile(`(?m)^\s*#.*\n`).ReplaceAllString(files.Read(t, "Dockerfile"), "")
	text = strings.ReplaceAll(text, "\\\n", " ")
	for line := range strings.Lines(text) {
		words := strings.Fields(line)
		switch {
		case len(words) == 0:
		case words[0] == "FROM" && len(words) == 4 && words[2] == "AS":
			all = append(all, dockerStage{name: words[3], from: words[1]})
		case len(all) == 0:
			t.Fatalf("the Dockerfile has %q before its first FROM … AS …", line)
		default:
			last := &all[len(all)-1]
			last.instructions = append(last.instructions, strings.Join(words, " "))
		}
	}
	return all
}

func stage(t *testing.T, name string) (dockerStage, bool) {
	t.Helper()
	all := stages(t)
	i := slices.IndexFunc(all, func(s dockerStage) bool { return s.name == name })
	if i < 0 {
		return dockerStage{}, false
	}
	return all[i], true
}

func TestTheDockerfileUsesInstructionsThatThereAre(t *testing.T) {
	known := []string{"ARG", "CMD", "COPY", "ENTRYPOINT", "ENV", "EXPOSE", "HEALTHCHECK", "LABEL", "RUN", "USER", "WORKDIR"}
	for _, s := range stages(t) {
		for _, i := range s.instructions {
			if word, _, _ := strings.Cut(i, " "); !slices.Contains(known, word) {
				t.Errorf("stage %s: %s (ADD fetches and unpacks unasked; others are no instruction)", s.name, i)
			}
		}
	}
}

func TestEveryImageRunsItsBinaryAsANumericUserOtherThanRoot(t *testing.T) {
	for _, target := range targets {
		s, there := stage(t, target)
		if !there {
			t.Errorf("no target %s", target)
			continue
		}
		for _, want := range []string{"USER 65532:65532", `ENTRYPOINT ["/bin/` + target + `"]`} {
			if !slices.Contains(s.instructions, want) {
				t.Errorf("target %s lacks %s", target, want)
			}
		}
		if i, j := slices.Index(s.instructions, "USER 65532:65532"), slices.IndexFunc(s.instructions, isCopy); i < j {
			t.Errorf("target %s copies as its own user, who could then change the binary", target)
		}
	}
}

func isCopy(instruction string) bool { return strings.HasPrefix(instruction, "COPY") }

func TestBinariesAreBuiltStaticAndAllThatTheTargetsCopyIsBuilt(t *testing.T) {
	build, _ := stage(t, "build")
	i := slices.IndexFunc(build.instructions, func(s string) bool { return strings.Contains(s, "go build") })
	if i < 0 || !strings.Contains(build.instructions[i], "CGO_ENABLED=0") || !strings.Contains(build.instructions[i], "-trimpath") {
		t.Fatal("the stage build has no static go build")
	}
	for _, target := range targets {
		if !strings.Contains(build.instructions[i]+" ", "./cmd/"+target+" ") {
			t.Errorf("%s is not built", target)
		}
		if _, err := os.Stat("../cmd/" + target); err != nil {
			t.Error(err)
		}
	}
}

func TestTheWorkerHasAnInterpreterOfEachRuntimeThatIsOffered(t *testing.T) {
	pythons, _ := stage(t, "pythons")
	text := pythons.from + " " + strings.Join(pythons.instructions, "\n")
	offers := run.Runtimes()
	for _, name := range offers.Names(time.Now(), false) {
		offer, ok := offers.Find(name)
		if !ok || offer.Python == "" {
			continue
		}
		if !regexp.MustCompile(`[ :]` + regexp.QuoteMeta(offer.Python) + `[. ]`).MatchString(text) {
			t.Errorf("runtime %s needs Python %s, which the stage pythons does not have", name, offer.Python)
		}
	}
}
