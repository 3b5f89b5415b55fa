// Package lambda is the embedded stack's Lambda: an http.Handler that speaks
// Lambda's REST API as the AWS SDK does, and runs functions as real, sandboxed
// Python processes of their own runtime version.
//
// # Execution environments
//
// Each environment is one process (package sandbox) that speaks the Runtime API
// over a socket which it inherits and which nothing else can reach: it can
// answer its own invocations and no others. It starts with Lambda's own
// variables and no credentials, sees its function's code at /var/task, the
// layers at /opt, a private /tmp of its own size beside its memory, no /dev/shm,
// and may reach the network. boto3 lies last on its path where its code names it
// (see sdks). It serves one invocation at a time and is kept warm.
//
// Between two invocations an environment is frozen, as on Lambda: before an
// invocation's answer is sent, every process but the runtime itself is killed
// and the runtime is stopped where it stands, until the next invocation. So
// neither a child that a script left in the background nor a thread of its own
// goes on. (Lambda freezes such children too, where this kills them.)
//
// What ends an environment: the function's timeout, with all that descends from
// it; its own exit; its memory limit; Config.IdleTimeout; and, least recently
// used first, Config.MaxWarm.
//
// # Which environment an invocation gets
//
// The most recently used idle one. Where none is idle, starting another takes
// tens of milliseconds of a processor, while a running one is often free within
// one. So an invocation waits for the first that gets free, and another one is
// started only where
//
//   - none is running or starting; or
//   - the queue, at the pace that invocations have had so far, would take longer
//     than a start; or
//   - none got free for as long as a start takes. As many are then started as
//     the machine has processors, and again as soon as those are up.
//
// The wait counts neither towards the function's timeout nor its billing. Starts
// of all functions share as many slots as the machine has processors; a start
// gives its slot back after half a second.
//
// # Differences from Lambda
//
// Functions have one version, $LATEST, and are not updated. An init phase that
// fails is not tried again for the same invocation, unless it took too long.
// Event invocations are tried once. What a function returned is not checked to
// be JSON.
package lambda
