// Package trace places runs in traces, and emits their spans.
//
// Every run has a place in a trace, also where nothing is traced: logs of all
// processes name it as trace_id. It is the trace of the request's traceparent
// (W3C); else that of its message's AWSTraceHeader (X-Ray), which the dispatcher
// passes on; else one whose id is made from the run's key. The result has the
// sender's traceparent, and its message the AWSTraceHeader of it.
//
// Spans are emitted from what was measured, once a part of a run is over. Their
// ids are made from the run's key, the name and what tells two parts of one name
// apart. So each process emits its own spans without passing anything on, and
// what happens twice after a crash is the same span again.
//
//	span           kind      emitted by              under   attributes besides
//	scriptfleet run  client  the command run         -       scriptfleet.tenant
//	run            consumer  who answers the run     sender  scriptfleet.tenant, .run, .request, .story, .action, .status, .attempt, .build, .script, .runtime, .error.owner; error.type
//	intake         consumer  dispatcher              run     scriptfleet.outcome, .receives
//	queue          internal  worker                  run     scriptfleet.receives; the wait on the partition
//	slot wait      internal  worker                  run     the wait for a claim, a turn and the tenant's slot
//	build wait     internal  worker                  run     scriptfleet.build; a link to each build that it waited for
//	invoke         client    worker                  run     faas.invoked_name, faas.invoked_provider, faas.coldstart, scriptfleet.attempt; error.type
//	init, execute  internal  worker                  invoke  the cold start; the script, with the call around it
//	publish        producer  worker                  run     messaging.destination.name
//	build          internal  the worker that leads   -       scriptfleet.build.step, .key, .worker; error.type; links to runs that waited in that worker
//
// The sender's span is whatever the story has; the command run makes one. A run
// whose sender gave none is the root of its trace.
//
// A build has a trace of its own, as runs of many traces wait for it. It is
// emitted if one of those runs in the worker that leads it is sampled.
//
// A failed span has the type of its error as error.type and as the description
// of its status. No span has a message of an error, a script, an input, an output
// or a credential.
//
// A run whose worker died after it had written the result down has no span run:
// the worker that publishes the result then cannot know when it was sent first.
//
// [OpenTelemetry]'s SDK and exporter are pkg/telemetry's: this package has its API
// only.
//
// [OpenTelemetry]: https://opentelemetry.io
package trace
