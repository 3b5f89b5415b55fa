package commands

import (
	"strings"
	"testing"
)

// TestNoHelpAndNoErrorTellsASecret gives every binary settings with secrets in
// them, some of which cannot be read.
func TestNoHelpAndNoErrorTellsASecret(t *testing.T) {
	t.Parallel()
	for what, settings := range map[string][]string{
		"a password that is no URL":    {"REDIS_URL=redis://:S3cr%t-Pass@127.0.0.1:1/0"},
		"a password with a slash":      {"REDIS_URL=redis://:S3cr/t-Pass@127.0.0.1:1/0"},
		"a password alone":             {"REDIS_URL=S3cr3t-Pass"},
		"an endpoint with a password":  {"REDIS_URL=redis://127.0.0.1:1/0", "AWS_ENDPOINT_URL=http://user:S3cr3t-Pass@127.0.0.1:1"},
		"an endpoint that is no URL":   {"REDIS_URL=redis://127.0.0.1:1/0", "AWS_ENDPOINT_URL_SQS=http://user:S3cr%t-Pass@127.0.0.1:1"},
		"an endpoint in the SDK's own": {"REDIS_URL=redis://127.0.0.1:1/0", "AWS_ENDPOINT_URL_LAMBDA=S3cr3t-Pass"},
	} {
		env := environment(append(settings, "AWS_REGION=eu-west-1", "AWS_ACCESS_KEY_ID=key", "AWS_SECRET_ACCESS_KEY=S3cr3t-Key",
			"SCRIPTFLEET_INDEX=https://user:S3cr3t-Index@127.0.0.1:1/simple")...)
		for name, commands := range map[string][][]string{
			"worker": {{}, {"--help"}, {"--nonsense"}}, "dispatcher": {{}, {"--help"}, {"--nonsense"}},
			"scriptfleet": {{"check"}, {"check", "--help"}, {"local", "--help"}, {"explain", "x"}, {"run", "--nonsense"}},
		} {
			for _, args := range commands {
				got := run(t, env, name, args...)
				said := got.Stdout + got.Stderr
				if help := len(args) > 0 && args[len(args)-1] == "--help"; (got.Code == 0) != help {
					t.Errorf("%s: %s %v exits %d: %s", what, name, args, got.Code, said)
				}
				if strings.Contains(said, "S3cr") || strings.Contains(said, "t-Pass") {
					t.Errorf("%s: %s %v says %s", what, name, args, said)
				}
			}
		}
	}
}
