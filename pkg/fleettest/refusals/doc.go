// Package refusals lets the embedded Lambda answer a worker's invocation with
// each of Lambda's errors, and checks the run's result: status, attempt, and
// whether the script may have executed.
package refusals
