package run

// runnerMargin is how much longer a runner's function may take than the longest
// script, in seconds: 10 for the import, as Lambda's init phase has, and 5 to
// clean up and to answer after a script that was ended at its own timeout.
const runnerMargin = 15

// RunnerOf returns the env runner of a script: a script without a source, whose
// function executes any script of the same tenant, env, memory and handler. It
// is built and named as every script is. longest is the longest timeout that a
// script may have, in seconds.
//
// ok is false where there is none: for a script of shell commands, whose files
// are in its function's folder. RunnerOf does not look at Sealed: whether a
// sealed script may share a process tree with others is its owner's to decide.
func RunnerOf(s Script, longest int) (runner Script, ok bool) {
	if s.Runtime.Shell || s.Runner {
		return Script{}, false
	}
	s.Source, s.Sealed, s.Runner = "", false, true
	s.TimeoutSeconds = min(longest+runnerMargin, lambdaMaxTimeout)
	s.Hash = HashOf(s)
	return s, true
}

// Runner is [RunnerOf] with the longest timeout of this policy.
func (p *Policy) Runner(s Script) (runner Script, ok bool) {
	return RunnerOf(s, p.c.MaxTimeoutSeconds)
}
