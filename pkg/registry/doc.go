// Package registry keeps the scripts that requests name by reference instead of
// carrying them. s3registry keeps them in a bucket, memregistry in memory;
// registrytest holds both to the contract [Store].
//
// # Whose a script is
//
// A script belongs to one tenant, and only requests of that tenant can name it.
// Its functions are that tenant's own, within its walls: each function can be
// reached only by the tenant that made it. A caller is a team of the tenant; it
// is no tenant. So a run by reference uses the tenant's credentials and limits,
// and no code of one tenant runs with the rights of another.
//
// # Who may run, and who may read
//
// An entry has two lists of callers: those that may run the script, and those
// that may read it too. If both are empty, every caller may run the script. If
// one is not, a request must name a caller that is on one of them. A caller
// that may run a script gets its output and never its text:
//
//   - The text is on no queue. A request carries a reference, the dispatcher
//     accepts it with a version, and the worker fetches the text of that
//     version from the store. So a dead letter has the reference, too.
//   - Redis has no text: the ledger keeps results, and the records of builds
//     keep the log of the installer.
//   - A script by reference is sealed (run.Script.Sealed): its function has no
//     file that Python would take source lines from, and a syntax error names
//     its line without showing it.
//
// A script can print its own text. That is its author's business.
//
// This package compares names. It does not know who sent a request: the
// platform authenticates the team before it writes data.caller, by its own
// signatures or tokens. Who can write to the requests queue can write any
// caller.
//
// # Which version runs
//
// A version is the digest of what was pushed, so it never changes. A label
// names one version until it is promoted to another; a reference without
// version and label means the version that was pushed last. The dispatcher
// resolves a reference once, when it accepts the run. From then on the run
// names the version, in deliveries, retries, dead letters and redrives. If the
// same request comes again, the first acceptance counts, for as long as the
// ledger knows it. A replay of a request is another run, and resolves anew.
//
// Who may run a script is decided at the same moment: what is accepted runs.
// Removing a script refuses later requests. Accepted runs still find their
// text, unless it was erased.
//
// # Consistency
//
// Store.Save replaces an entry only if nobody has changed it since it was read,
// so no push is lost to another. A [Resolver] asks the store for each
// resolution whether the entry has changed, so it never answers with an entry
// older than the request. Resolutions that wait at the same time share the
// answer, and an unchanged entry is not sent again. Texts need no revalidation.
package registry
