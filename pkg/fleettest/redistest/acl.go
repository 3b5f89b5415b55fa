package redistest

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/scriptfleet/scriptfleet/pkg/fleettest/program"
)

// Permissions are the smallest permissions for a fleet's user in
// deploy/README.md, for the keys and channels of a prefix.
func Permissions(t testing.TB, prefix string) []string {
	t.Helper()
	root, err := program.Root()
	if err != nil {
		t.Fatal(err)
	}
	manual, err := os.ReadFile(filepath.Join(root, "deploy", "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	m := regexp.MustCompile(`(?m)^ACL SETUSER scriptfleet on >PASSWORD (.*)$`).FindStringSubmatch(string(manual))
	if m == nil {
		t.Fatal("deploy/README.md has no line ACL SETUSER scriptfleet on >PASSWORD …")
	}
	return strings.Fields(strings.ReplaceAll(m[1], "scriptfleet:", prefix+":"))
}

// AsFleet makes a user with these permissions, and more if given, and returns
// an option that makes a client use it.
func AsFleet(t testing.TB, s *Server, prefix string, more ...string) func(*redis.Options) {
	t.Helper()
	words := append([]string{"ACL", "SETUSER", "fleet", "reset", "on", ">secret"}, Permissions(t, prefix)...)
	if answer := s.Do(append(words, more...)...); answer != "+OK" {
		t.Fatalf("make the user of a fleet: %s", answer)
	}
	return func(o *redis.Options) { o.Username, o.Password = "fleet", "secret" }
}
