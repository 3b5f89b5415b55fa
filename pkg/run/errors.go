package run

import "fmt"

// The types of the errors of [Policy.Decode] and of [RefuseClaimCheck]. Their
// owner is the author, and none is retryable. ERRORS.md lists the types and
// sentences of all packages.
const (
	InvalidJSON        = "InvalidJSON"        // the body is not one JSON object
	InvalidClaimCheck  = "InvalidClaimCheck"  // the body is a claim check that leads to no request
	InvalidUTF8        = "InvalidUTF8"        // a text is not valid UTF-8, or half of a surrogate pair
	InvalidSpecVersion = "InvalidSpecVersion" // specversion is not 1.0
	InvalidType        = "InvalidType"        // type is none of TypeRequested, TypeCancelled and TypeSaved
	InvalidData        = "InvalidData"        // data is not an object
	UnknownField       = "UnknownField"       // a field is not in the schema
	DuplicateField     = "DuplicateField"     // a field is there twice
	MissingField       = "MissingField"       // a required field is absent
	InvalidField       = "InvalidField"       // any other field has an invalid value
	InvalidTenant      = "InvalidTenant"      // tenant is no tenant's name
	InvalidSource      = "InvalidSource"      // source is empty, too long or has control characters
	InvalidID          = "InvalidID"          // id or data.run is empty, too long or has control characters
	InvalidTime        = "InvalidTime"        // time or data.expires_at is not RFC 3339
	InvalidScript      = "InvalidScript"      // the script is empty, too long, has a NUL byte or names another encoding
	InvalidInput       = "InvalidInput"       // input is no object, or larger than MaxInputBytes
	InvalidTimeout     = "InvalidTimeout"     // timeout_seconds is no whole number from 1 to the maximum
	InvalidDelivery    = "InvalidDelivery"    // delivery is no delivery mode
	InvalidCredential  = "InvalidCredential"  // credential is no credential's name
	UnknownRuntime     = "UnknownRuntime"     // no such runtime
	RetiredRuntime     = "RetiredRuntime"     // Lambda has deprecated the runtime
	InvalidReference   = "InvalidReference"   // script_ref is no reference to a script of the registry
	InvalidCaller      = "InvalidCaller"      // caller is no team's name
	InvalidRequirement = "InvalidRequirement" // a line is no requirement
	UnsafeRequirement  = "UnsafeRequirement"  // a line has an option, a path, an address or a variable
)

// RefuseClaimCheck is the error of a request whose body is a claim check with
// this problem.
func RefuseClaimCheck(problem error) *Error {
	return refuse(InvalidClaimCheck, "", "The request cannot be read (%v): send it again with a claim check as the SQS Extended Client writes it, in the bucket and below the prefix of this queue.", problem)
}

// refuse makes an error of the author's about a field of the request.
func refuse(kind, field, format string, args ...any) *Error {
	return &Error{Owner: OwnerAuthor, Type: kind, Field: field, Message: fmt.Sprintf(format, args...)}
}
