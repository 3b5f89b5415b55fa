// Package console serves the console: pages on which authors try scripts and
// operators watch a fleet.
//
// The console is a client of the fleet like any other. It enqueues on the requests
// queue, and reads the ledger, the queues' depths, the dead letters, the board of
// processes and the operator's settings (package look). The fleet does not know
// it, and it keeps nothing on disk.
//
// # Pages
//
// Every page is rendered here by html/template, and works without JavaScript.
// console.js adds what needs it: colours and line numbers in the editor, and live
// parts. A live part is a server-sent event with the rendered part; the script
// puts it in place of the one before.
//
//	try.go      Try a script: the form, the request that it makes, the run's start
//	runs.go     the runs that ended lately, and the open ones
//	run.go      one run: its stages, output, logs, time; live until it has ended
//	fleet.go    the fleet on one screen, with plots of the last hour
//	letters.go  dead letters, and their redrive
//	tenants.go  limits beside use, pause and resume
//
// # A result
//
// A result is on the results queue, which belongs to the stories' consumer. The
// console therefore asks the ledger where its own runs are, receives from the
// results queue only while the ledger says that a result of its own was published,
// and puts the results of others back at once, so that they come a second later at
// most. If the stories' consumer was faster, the result is gone: the page then
// shows the run's status and times from the ledger, and says that its output went
// to the other consumer. With Config.Results "none" it leaves the queue alone;
// with another queue's name it reads that one, to which the platform may copy
// results. The newest results of the console's own runs are kept in memory, bounded
// in number and bytes.
//
// The output of a run that another client sent is not shown: the fleet keeps none
// after it has published the result.
//
// # A build's log
//
// The worker's installer prints its log in the worker. Where the worker is in the
// same process (scriptfleet local, scriptfleet demo) the console shows each line
// as it comes; else it shows who builds and for how long, and the log once the
// result brings it.
//
// # Who may do what
//
// Without Config.AllowRuns and Config.AllowChanges nothing can be started or
// changed. Each change is logged with the person who made it, whom the header
// Config.UserHeader names. Without that header, the console is for those who know
// its key: the address that the command prints has it, and the browser keeps it as
// a cookie. The key is needed on loopback too, since scripts that run on the same
// machine reach loopback addresses.
//
// guard.go refuses what another site's page could send: a Host that is not the
// console's own (DNS rebinding), and cross-origin requests that change something,
// by Sec-Fetch-Site and Origin. The Content-Security-Policy allows the console's
// own files alone: no inline script, no inline style, no other host. What scripts
// print is text, with control characters escaped.
//
// # What a page costs
//
// A page costs Redis a few round trips, however many tenants and runs there are:
// lists are cut in the ledger, and the fleet's screen is read every few seconds
// for all its readers together. A test counts them.
package console
