// Package look reads what a fleet shows of itself: its processes and queues,
// where a run is, the runs that ended, its tenants and its dead letters. The
// operator's commands and the console share it, so that both say the same.
//
// The types are what commands print with --json; the tag about describes a field
// in the published schemas.
package look
