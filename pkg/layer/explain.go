package layer

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/scriptfleet/scriptfleet/pkg/run"
)

// This file turns an installer's output into an error for its owner. The
// installers' wording changes between versions: the tests use recorded output.
// Unrecognised output becomes a platform_error that quotes it.

var (
	noSpace = regexp.MustCompile(`(?i)no space left on device|disk quota exceeded`)

	// unreachable matches the output for an index that did not answer, or
	// answered with a server error.
	unreachable = regexp.MustCompile(`(?i)failed to fetch|error sending request|connection broken by|connection refused|connection reset|connection aborted|max retries exceeded|read timed out|timed out while|name or service not known|temporary failure in name resolution|dns error|tls handshake|SSLError|invalid peer certificate|certificate verify failed|\b50[0-9] server error|server error \(50[0-9]|ProxyError|error decoding response body|network is unreachable|no route to host`)

	// otherHash matches the output for a file whose digest is not in the
	// requirements, of uv and of pip; noHashes that of pip where only some
	// requirements have hashes.
	otherHash = regexp.MustCompile("Hash mismatch for `([^`]+)`|DO NOT MATCH THE HASHES[\\s\\S]*?\\n\\s+(\\S+) from ")
	noHashes  = regexp.MustCompile(`In --require-hashes mode|Hashes are required in --require-hashes mode`)

	// refused matches the output for an index that rejects our credentials.
	refused = regexp.MustCompile(`(?i)401 Unauthorized|403 Forbidden|40[137] client error|valid authentication credentials|proxy authentication required`)
)

// commonFault recognises the faults that both installers report in similar
// words.
func commonFault(out string) *run.Error {
	switch {
	case noSpace.MatchString(out):
		return diskFull()
	case otherHash.MatchString(out):
		return hashMismatch(otherHash.FindStringSubmatch(out))
	case noHashes.MatchString(out):
		return authorError(TypeInvalidRequirement, "This worker installs with pip, which takes hashes only where all packages have them, also those that other packages need: write the whole list, as scriptfleet run --lock prints it.")
	case refused.MatchString(out):
		return operatorError(TypeIndexUnavailable, "The package index refuses this worker's credentials, so the requirements could not be installed. Try again later; the operator has to mend the index's credentials.")
	case unreachable.MatchString(out):
		return operatorError(TypeIndexUnavailable, "The package index could not be reached, so the requirements could not be installed. Try again in a few minutes; the operator has to look at the way to the index if it stays so.")
	}
	return nil
}

// hashMismatch is the error for a file that is not the one of the requirements.
func hashMismatch(m []string) *run.Error {
	return authorError(TypeHashMismatch, "The file of %s on the package index is none of those that the requirements allow by --hash. Find out why it changed before you trust it; then write its hash, or lock the requirements anew with scriptfleet run --lock.", m[1]+m[2])
}

// wanted is a requirement that cannot be met.
type wanted struct {
	what string // name and version specifiers, as far as known
	by   string // the package that needs it; empty where the author requires it
	all  bool   // no version of it is available
}

// needed is the requirement with what needs it, such as "sgmllib3k, which
// feedparser==6.0.11 needs,".
func (w wanted) needed() string {
	if w.by == "" {
		return w.what
	}
	return w.what + ", which " + w.by + " needs,"
}

// unless returns fault, or PartOfPython instead if the requirement is or was a
// module of Python's: the author then has to remove the line.
func (w wanted) unless(fault *run.Error, s run.Script) *run.Error {
	name := plainName(nameOf(w.what))
	line := lineOf(s.Requirements, name)
	if line == "" {
		return fault
	}
	if inStandardLibrary(name, s.Runtime.Python) {
		return partOfPython(line, name, s.Runtime)
	}
	if successor, left := leftPython(name, s.Runtime.Python); left {
		return noLongerPartOfPython(name, successor)
	}
	return fault
}

func notFoundPackage(w wanted, s run.Script) *run.Error {
	if w.by != "" {
		return w.unless(authorError(TypeRequirementNotFound, "There is no package named %s on the package index, and %s needs it. Choose another version of %s, or another package.", w.what, w.by, nameOf(w.by)), s)
	}
	return w.unless(authorError(TypeRequirementNotFound, "There is no package named %s on the package index: check its name in the requirements.", w.what), s)
}

// notFoundVersion names versions to choose from, where some are known.
func notFoundVersion(w wanted, near string, s run.Script) *run.Error {
	message := fmt.Sprintf("There is no version of %s that matches %s", nameOf(w.what), w.what)
	switch {
	case w.by != "":
		message += fmt.Sprintf(", and %s needs one: choose another version of %s.", w.by, nameOf(w.by))
	case near != "":
		message += ": choose another, such as " + near + "."
	default:
		message += ": choose another."
	}
	return w.unless(authorError(TypeRequirementNotFound, "%s", message), s)
}

func noWheel(w wanted, s run.Script) *run.Error {
	on := fmt.Sprintf("Python %s on Linux (%s)", s.Runtime.Python, s.Runtime.Platform)
	mend := "Choose a version that has one, another runtime, or another package."
	if w.by != "" {
		mend = fmt.Sprintf("Choose a version of %s that does without it, or another package.", nameOf(w.by))
	} else if w.all {
		mend = "Choose another package, or another runtime."
	}
	if w.all {
		w.what = nameOf(w.what)
		return w.unless(authorError(TypeNoWheel, "%s has no wheel for %s in any version: the index has it only as source, or for other Pythons. %s", w.needed(), on, mend), s)
	}
	return w.unless(authorError(TypeNoWheel, "%s has no wheel for %s: the index has it only as source, or for other Pythons. %s", w.needed(), on, mend), s)
}

func wrongPython(w wanted, pythons string, s run.Script) *run.Error {
	return authorError(TypeNoWheel, "%s needs Python %s, and the script's runtime has Python %s. Choose another version of %s, or another runtime.", w.needed(), pythons, s.Runtime.Python, nameOf(w.what))
}

func brokenWheel(what string) *run.Error {
	return authorError(TypeNoWheel, "The wheel of %s on the package index is broken. Choose another version.", what)
}

func conflict(why string) *run.Error {
	return authorError(TypeRequirementConflict, "The requirements exclude each other: %s. Loosen one of them.", strings.TrimRight(why, ". "))
}

func invalid(line string) *run.Error {
	return authorError(TypeInvalidRequirement, "The installer can't read the requirement %q: write a package's name and its version, such as requests==2.32.3.", line)
}

// unknown quotes the end of an installer's output.
func unknown(tool, out string) error {
	var last []string
	for line := range strings.Lines(out) {
		if line = strings.TrimSpace(line); line != "" {
			last = append(last, line)
		}
	}
	if len(last) > 3 {
		last = last[len(last)-3:]
	}
	return fmt.Errorf("%s failed: %s", tool, strings.Join(last, " / "))
}

var nameChars = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]*`)

// nameOf is the package's name in a requirement.
func nameOf(requirement string) string { return nameChars.FindString(requirement) }

// pinOf is the version of a requirement that allows exactly one.
func pinOf(requirement string) string {
	_, after, ok := strings.Cut(requirement, "==")
	if !ok || strings.ContainsAny(after, ",*=") {
		return ""
	}
	pin, _, _ := strings.Cut(after, ";")
	return strings.TrimSpace(pin)
}
