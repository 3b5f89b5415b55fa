package layer

import (
	"fmt"
	"strings"

	"github.com/scriptfleet/scriptfleet/pkg/run"
)

// The types of a build's errors, with the owner of each.
const (
	TypeRequirementNotFound = "RequirementNotFound"  // author: no such package, or no such version of it
	TypeRequirementConflict = "RequirementConflict"  // author: two requirements exclude each other
	TypeNoWheel             = "NoWheel"              // author: no wheel for this Python and platform
	TypeHashMismatch        = "HashMismatch"         // author: the index has another file than the requirements allow
	TypePackageDenied       = "PackageDenied"        // author: the operator denies the package
	TypeSourceBuildFailed   = "SourceBuildFailed"    // author: a package that exists only as source does not build
	TypePartOfPython        = "PartOfPython"         // author: a module of the standard library
	TypeEnvTooLarge         = "EnvTooLarge"          // author: over Lambda's limit, unpacked
	TypeInvalidRequirement  = run.InvalidRequirement // author: a line that the installer can't read
	TypeIndexUnavailable    = "IndexUnavailable"     // operator: the package index can't be reached or refuses us
	TypeDiskFull            = "DiskFull"             // operator
	TypeBuildTimeout        = "BuildTimeout"         // operator
	TypeInstallerMissing    = "InstallerMissing"     // operator: neither uv nor a pip that can build for this runtime
	TypeBuildError          = "BuildError"           // platform: anything else
)

func authorError(kind, format string, args ...any) *run.Error {
	return &run.Error{Owner: run.OwnerAuthor, Type: kind, Message: fmt.Sprintf(format, args...), Field: "data.requirements"}
}

func operatorError(kind, format string, args ...any) *run.Error {
	return &run.Error{Owner: run.OwnerOperator, Type: kind, Message: fmt.Sprintf(format, args...), Retryable: true}
}

// unresolved is the error for a search of pip's that was stopped. A solution
// may exist, and a worker with uv would find it, so the failure is remembered
// briefly only.
func unresolved(tried []string) *run.Error {
	versions := "one version after the other"
	if len(tried) > 0 {
		versions = "many versions (" + strings.Join(tried, ", ") + ")"
	}
	e := authorError(TypeRequirementConflict, "No versions of the required packages were found that fit together: pip tried %s and was stopped. Require the exact versions that work together, as pip freeze prints them where the script works; a worker with uv, which the operator can give it, finds them by itself.", versions)
	e.Retryable = true
	return e
}

// noInstaller is not retryable: the same worker has no installer next time
// either.
func noInstaller(r run.Runtime) *run.Error {
	return &run.Error{Owner: run.OwnerOperator, Type: TypeInstallerMissing,
		Message: fmt.Sprintf("This worker has neither uv nor a Python %s with pip, one of which it needs to install requirements for %s: the operator has to install uv.", r.Python, r.Name)}
}

func diskFull() *run.Error {
	return operatorError(TypeDiskFull, "The disk on which layers are built is full. Try again later; the operator has to make room for it.")
}

// tooLarge names the size, where it is known, and the largest packages.
func tooLarge(size, limit int64, largest []sized) *run.Error {
	what := "more than " + megabytes(limit) + " unpacked"
	if size > 0 {
		what = megabytes(size) + " unpacked, more than the " + megabytes(limit) + " that there is room for"
	}
	var names []string
	for _, p := range largest {
		names = append(names, p.name+" "+megabytes(p.bytes))
	}
	message := "The requirements take " + what + ": Lambda allows 250 MB for a function and its layers together."
	switch len(names) {
	case 0:
	case 1:
		message += " The largest package is " + names[0] + "."
	default:
		message += " The largest packages are " + strings.Join(names, ", ") + "."
	}
	return authorError(TypeEnvTooLarge, "%s Leave out what the script does not need, or take a smaller variant of a package.", message)
}

func megabytes(n int64) string {
	if n < 1<<20 {
		return fmt.Sprintf("%.1f MB", float64(n)/(1<<20))
	}
	return fmt.Sprintf("%.0f MB", float64(n)/(1<<20))
}
