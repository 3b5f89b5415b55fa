package run

import "time"

// Decode reads a request and makes it the run that it asks for.
func (p *Policy) Decode(body []byte, now time.Time) (Run, *Error) {
	return Run{}, refuse(InvalidJSON, "", "not yet read")
}
