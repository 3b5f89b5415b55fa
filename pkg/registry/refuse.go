package registry

import (
	"fmt"

	"github.com/scriptfleet/scriptfleet/pkg/run"
)

// find is Entry.Find with a refusal.
func find(n Name, e Entry, r run.Reference) (run.ScriptVersion, error) {
	v, ok := e.Find(r)
	if !ok {
		return "", unknown(n, r)
	}
	return v, nil
}

func unknown(n Name, r run.Reference) *run.Error {
	return refuse("UnknownScript", fmt.Sprintf("There is no script %s in the registry of tenant %s: push it, or correct the id, version or label (scriptfleet scripts list shows them).", r, n.Tenant))
}

func mayNotRun(r run.Reference, caller string) *run.Error {
	if caller == "" {
		return refuse("CallerNotAllowed", fmt.Sprintf("The script %s may be run by named callers only, and data.caller is missing: add the team that runs it.", r.ID))
	}
	return refuse("CallerNotAllowed", fmt.Sprintf("The caller %q may not run the script %s: have those who push it allow the team (scriptfleet scripts share --allow).", caller, r.ID))
}

func mayNotRead(n Name, caller string) *run.Error {
	return refuse("CallerNotAllowed", fmt.Sprintf("The caller %q may not read the script %s: have those who push it make the team a reader (scriptfleet scripts share --reader).", caller, n.ID))
}

// erased is the refusal of an accepted run whose text was erased since.
func erased(r run.Reference) *run.Error {
	return refuse("ScriptErased", fmt.Sprintf("The script %s was erased from the registry after the run was accepted, so it was not run: push it again, and send the run under another id.", r))
}

func corrupt(n Name, v run.ScriptVersion) *run.Error {
	return &run.Error{Owner: run.OwnerOperator, Type: "ScriptCorrupt", Field: "data.script_ref",
		Message: fmt.Sprintf("What the registry keeps as version %s of script %s is not what was pushed, so it was not run: find out who writes to the bucket, and push the script again.", v, n)}
}

func refuse(kind, message string) *run.Error {
	return &run.Error{Owner: run.OwnerAuthor, Type: kind, Message: message, Field: "data.script_ref"}
}

// NoRegistry is the refusal of a reference by a fleet without a store.
func NoRegistry() *run.Error {
	return &run.Error{Owner: run.OwnerOperator, Type: "NoRegistry", Field: "data.script_ref",
		Message: "This fleet has no script registry: give dispatcher and worker --bucket, or send data.script instead of data.script_ref."}
}
