// Package credential assumes the IAM role of a tenant's credential, and gives
// the worker a session that reaches only one tenant's functions.
package credential

import "time"

// AWS is a set of temporary credentials. It travels in invoke payloads only:
// never in an environment of ours, a queue, Redis or a log.
type AWS struct {
	AccessKeyID, SecretAccessKey, SessionToken string
	Expires                                    time.Time
}

// String keeps credentials out of logs.
func (AWS) String() string { return "[credentials]" }
