// Package refusals plays every error that Lambda may answer an invocation with to
// a worker, on the embedded Lambda, and checks what its run then says of itself:
// status, attempt, and whether the script may have been executed.
package refusals
