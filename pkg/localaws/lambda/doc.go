// Package lambda is the embedded stack's Lambda: an http.Handler for Lambda's
// REST API, as the AWS SDK uses it. It runs functions in sandboxed Python
// processes of their runtime's version.
//
// # Execution environments
//
// Each environment is one process (package sandbox). It uses the Runtime API
// over an inherited socket that no other process can reach, so it can answer
// only its own invocations. It starts with Lambda's own variables and without
// credentials. It sees its function's code at /var/task, the layers at /opt, a
// private /tmp whose size is separate from its memory, and no /dev/shm; it may
// use the network. If the code names boto3, boto3 is last on its path (see
// sdks). It serves one invocation at a time and is kept warm.
//
// Between two invocations an environment is frozen, as on Lambda. Before an
// invocation's answer is sent, every process except the runtime is killed. The
// runtime is stopped as soon as it has been idle for 10 ms, until the next
// invocation; what it has started meanwhile is killed. So neither a background
// process nor a thread of a script continues. (Lambda freezes child processes;
// this kills them.) What the init phase of an env runner has started is spared: it
// waits for orders of the runtime. So is the one child that this has forked for the
// next invocation.
//
// An environment ends, with all its processes, at the function's timeout, at
// its own exit, at its memory limit, after Config.IdleTimeout, or as the least
// recently used of more than Config.MaxWarm.
//
// # Which environment an invocation gets
//
// The most recently used idle one. If none is idle, starting another takes tens
// of milliseconds of CPU, while a busy one is often free within one. So an
// invocation waits for the first that becomes free, and another one is started
// only if
//
//   - none is busy or starting; or
//   - the queue would take longer than a start:
//     service × (waiting − starting) ÷ (busy + starting) > start; or
//   - none became free for as long as a start takes. As many are then started as
//     the machine has processors, and again once those have started.
//
// A start takes an interpreter that waits in its sandbox, if there is one of the
// runtime (see blanks). A function with environment variables or a larger /tmp
// does not.
//
// The wait counts neither towards the function's timeout nor its billing. The
// starts of all functions share as many slots as the machine has processors; a
// start gives its slot back after half a second.
//
// # Differences from Lambda
//
// CreateFunction is answered when the function is Active (after 5 s at most),
// with the state Pending. Functions have one version, $LATEST, and are not
// updated. A failed init phase is not repeated for the same invocation, unless it
// took too long. Event invocations are tried once. The endpoint does not check
// that a function's answer is JSON.
package lambda
