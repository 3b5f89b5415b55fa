// Package build makes sure that any number of runs of a new script, on any
// number of workers, cause one build of it.
package build
