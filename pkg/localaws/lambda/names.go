package lambda

import (
	"fmt"
	"regexp"
	"strings"
	"sync"

	"github.com/google/uuid"
)

// latest is the only version of a function here.
const latest = "$LATEST"

func newID() string { return uuid.NewString() }

func (s *Server) functionARN(name string) string {
	return fmt.Sprintf("arn:aws:lambda:%s:%s:function:%s", s.cfg.Region, s.cfg.Account, name)
}

func (s *Server) layerARN(name string) string {
	return fmt.Sprintf("arn:aws:lambda:%s:%s:layer:%s", s.cfg.Region, s.cfg.Account, name)
}

// anyARN is compiled at first use: every sandbox starts this program again, and
// repeats all work before main.
var anyARN = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^(?:arn:aws:lambda:([a-z0-9-]+):)?(?:(\d{12}):)?(function|layer):(.+)$`)
})

const (
	longestFunctionName = 64
	longestLayerName    = 140
)

// validName tells whether a name consists of letters, digits, - and _, and has
// at most longest characters.
func validName(name string, longest int) bool {
	return name != "" && len(name) <= longest && strings.IndexFunc(name, func(c rune) bool {
		return !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '_')
	}) < 0
}

// target parses the names in a path. Permissions are always checked by the full
// ARN, whichever notation was used.
func (s *Server) target(op *operation, args []string) (target, error) {
	if len(args) == 0 || args[0] == "" {
		return target{arn: "*"}, nil
	}
	name, qualifier, err := s.ownName(args[0])
	if err != nil {
		return target{}, err
	}
	t := target{name: name, version: qualifier}
	if op.layer {
		if len(args) > 1 {
			t.version = args[1]
		}
		if !validName(name, longestLayerName) {
			return t, validation("layerName", args[0])
		}
		t.arn = s.layerARN(name)
		if t.version != "" {
			t.arn += ":" + t.version
		}
		return t, nil
	}
	if !validName(name, longestFunctionName) {
		return t, validation("functionName", args[0])
	}
	t.arn = s.functionARN(name)
	if qualifier != "" && qualifier != latest {
		return t, notFound("Function not found: %s:%s", t.arn, qualifier)
	}
	return t, nil
}

// ownName parses a name, a partial ARN or a full ARN. Resources of another
// account or region are not found.
func (s *Server) ownName(given string) (name, qualifier string, err error) {
	name = given
	if m := anyARN().FindStringSubmatch(given); m != nil {
		if (m[1] != "" && m[1] != s.cfg.Region) || (m[2] != "" && m[2] != s.cfg.Account) {
			return "", "", notFound("Function not found: %s", given)
		}
		name = m[4]
	}
	name, qualifier, _ = strings.Cut(name, ":")
	return name, qualifier, nil
}

func validation(field, value string) error {
	return &apiError{status: 400, typ: "ValidationException", text: fmt.Sprintf("1 validation error detected: Value '%s' at '%s' failed to satisfy constraint: Member must satisfy regular expression pattern", value, field)}
}
