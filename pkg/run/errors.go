package run

import "fmt"

// The types of error that [Policy.Decode] answers with. Each is the author's to
// mend, and trying the same request again is no use. ERRORS.md lists those of all
// packages beside each other, with their sentences.
const (
	InvalidJSON        = "InvalidJSON"        // the body is not one JSON object
	InvalidUTF8        = "InvalidUTF8"        // a text is not valid UTF-8, or half of a surrogate pair
	InvalidSpecVersion = "InvalidSpecVersion" // specversion is not 1.0
	InvalidType        = "InvalidType"        // type is none of the three that the requests queue carries
	InvalidData        = "InvalidData"        // data is not an object
	UnknownField       = "UnknownField"       // a field that the schema does not know
	DuplicateField     = "DuplicateField"     // a field that stands twice
	MissingField       = "MissingField"       // a field that is needed
	InvalidField       = "InvalidField"       // a field without a type of its own here
	InvalidTenant      = "InvalidTenant"      // tenant is no tenant's name
	InvalidSource      = "InvalidSource"      // source is empty, too long or has control characters
	InvalidID          = "InvalidID"          // id, or data.run, likewise
	InvalidTime        = "InvalidTime"        // time or data.expires_at is not RFC 3339
	InvalidScript      = "InvalidScript"      // the script is empty, too long, has a NUL byte or names another encoding
	InvalidInput       = "InvalidInput"       // input is no object, or more than Lambda takes
	InvalidTimeout     = "InvalidTimeout"     // timeout_seconds is no whole number from 1 to the maximum
	InvalidDelivery    = "InvalidDelivery"    // delivery is no delivery mode
	InvalidCredential  = "InvalidCredential"  // credential is no credential's name
	UnknownRuntime     = "UnknownRuntime"     // no such runtime
	RetiredRuntime     = "RetiredRuntime"     // Lambda has deprecated the runtime
	InvalidRequirement = "InvalidRequirement" // a line is no requirement
	UnsafeRequirement  = "UnsafeRequirement"  // an option, a path or an address stands where a name should
)

// refuse makes the author's error for a field of the request.
func refuse(kind, field, format string, args ...any) *Error {
	return &Error{Owner: OwnerAuthor, Type: kind, Field: field, Message: fmt.Sprintf(format, args...)}
}
