package function

import (
	"encoding/json"
	"errors"
	"strings"
)

// notTaken is how an env runner answers for a script that it does not execute.
type notTaken struct {
	Reason  string `json:"reason"` // a word, such as WrongHash
	Message string `json:"message"`
}

// notTakenMark is what an env runner writes to its log before it ends itself
// without having begun with a script. No script can write to a runner's log.
const notTakenMark = "SCRIPTFLEET-NOT-TAKEN "

// NotTakenBy returns an error of the class NotTaken if the env runner of that
// name did not execute the script that it was given, and nil if it did. It is
// for the invocations of env runners only: any other function may answer in
// these words.
func NotTakenBy(name string, inv Invocation) error {
	if inv.FunctionError != "" {
		_, line, ok := strings.Cut("\n"+inv.LogTail, "\n"+notTakenMark)
		if !ok {
			return nil
		}
		reason, message, _ := strings.Cut(line, " ")
		message, _, _ = strings.Cut(message, "\n")
		return refusedBy(name, notTaken{Reason: reason, Message: message})
	}
	var a struct {
		NotTaken *notTaken `json:"not_taken"`
	}
	if json.Unmarshal(inv.Payload, &a) != nil || a.NotTaken == nil {
		return nil
	}
	return refusedBy(name, *a.NotTaken)
}

func refusedBy(name string, n notTaken) error {
	return &Error{Class: NotTaken, Op: "Invoke", Name: name, Reason: excerpt(n.Reason), Err: errors.New(excerpt(n.Message))}
}
