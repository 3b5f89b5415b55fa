package lambda

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/scriptfleet/scriptfleet/pkg/interpreter"
	"github.com/scriptfleet/scriptfleet/pkg/panics"
	"github.com/scriptfleet/scriptfleet/pkg/sandbox"
)

// initPatience is the limit of an init phase, as on Lambda. After it the init
// phase is repeated, under the function's own timeout.
const initPatience = 10 * time.Second

// program is everything from which an environment is started. It never changes.
type program struct {
	name, arn, handler, runtime string
	region                      string
	variables                   map[string]string
	memoryMB, timeoutSeconds    int
	tmpMB                       int
	interpreter                 interpreter.Interpreter
	code, layers, bootstrap     string // directories on the host; layers may be empty
}

func (p *program) timeout() time.Duration { return time.Duration(p.timeoutSeconds) * time.Second }

// environment is one sandboxed process that serves one invocation at a time.
type environment struct {
	program *program
	proc    *sandbox.Process
	api     *os.File // our end of the Runtime API's socket
	reader  *bufio.Reader
	log     *logTail

	started     time.Time
	ready       bool // the init phase has ended
	asked       bool // its runtime waits for the next invocation
	frozen      bool
	initTook    time.Duration // for the first invocation's report
	invocations int
	idleSince   time.Time
	closed      sync.Once
}

// outcome is the result of an invocation.
type outcome struct {
	payload       []byte
	functionError string // empty or Unhandled
	log           []byte
	took          time.Duration
	dead          bool // the environment cannot be used again
}

// start starts an environment's process and returns during its init phase. sdk
// is the directory of boto3, or "".
func (p *program) start(ctx context.Context, spares *sandbox.Spares, sdk string, guard panics.Guard) (*environment, error) {
	began := time.Now()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("make runtime socket: %w", err)
	}
	theirs := os.NewFile(uintptr(fds[1]), "runtime")
	defer theirs.Close()
	if err := unix.SetNonblock(fds[0], true); err != nil {
		return nil, fmt.Errorf("make runtime socket: %w", err)
	}
	ours := os.NewFile(uintptr(fds[0]), "api")
	log, out, err := newLogTail(guard)
	if err != nil {
		ours.Close()
		return nil, err
	}
	defer out.Close()
	log.printf("INIT_START Runtime Version: %s\tRuntime Version ARN: \n", p.interpreter.Version)
	spec := p.spec(sdk, theirs, out)
	spec.Panicked = func(caught *panics.Error) { guard.Report(caught) }
	proc, err := spares.Start(ctx, spec)
	if err != nil {
		ours.Close()
		return nil, err
	}
	return &environment{program: p, proc: proc, api: ours, reader: bufio.NewReaderSize(ours, 64<<10), log: log, started: began}, nil
}

// spec is the sandbox of the process. A function can write to /tmp only, whose
// size is separate from the memory.
func (p *program) spec(sdk string, api, out *os.File) sandbox.Spec {
	task := sandbox.Bind{Source: p.code, Target: "/var/task"}
	runtime := sandbox.Bind{Source: p.bootstrap, Target: "/var/runtime"}
	binds := []sandbox.Bind{task, runtime, {Source: p.interpreter.Prefix}}
	args := []string{"-u", "-B", "-s", filepath.Join(runtime.Path(), "bootstrap.py")}
	for _, b := range []sandbox.Bind{{Source: p.layers, Target: "/opt"}, {Source: sdk, Target: "/var/lang/sdk"}} {
		path := ""
		if b.Source != "" {
			binds, path = append(binds, b), b.Path()
		}
		args = append(args, path)
	}
	return sandbox.Spec{
		Path: p.interpreter.Path, Args: args, Env: p.environ(task.Path(), runtime.Path()), Dir: task.Path(), Binds: binds,
		Network: true, MemoryBytes: int64(p.memoryMB) << 20, TmpBytes: int64(p.tmpMB) << 20, MaxProcesses: 512,
		ExtraFiles: []*os.File{api}, Stdout: out, Stderr: out,
	}
}

// environ is the complete environment: Lambda's variables, then the function's.
// It has no credentials: a function's role has no permissions.
func (p *program) environ(task, runtime string) []string {
	vars := map[string]string{
		"AWS_DEFAULT_REGION": p.region, "AWS_REGION": p.region,
		"AWS_EXECUTION_ENV":               "AWS_Lambda_" + p.runtime,
		"AWS_LAMBDA_FUNCTION_NAME":        p.name,
		"AWS_LAMBDA_FUNCTION_MEMORY_SIZE": fmt.Sprint(p.memoryMB),
		"AWS_LAMBDA_FUNCTION_VERSION":     latest,
		"AWS_LAMBDA_INITIALIZATION_TYPE":  "on-demand",
		"AWS_LAMBDA_LOG_GROUP_NAME":       "/aws/lambda/" + p.name,
		"AWS_LAMBDA_LOG_STREAM_NAME":      time.Now().UTC().Format("2006/01/02/") + "[" + latest + "]" + newID(),
		"LAMBDA_TASK_ROOT":                task, "LAMBDA_RUNTIME_DIR": runtime, "_HANDLER": p.handler,
		"LANG": "en_US.UTF-8", "TZ": ":UTC",
		"PATH":            filepath.Dir(p.interpreter.Path) + ":/usr/local/bin:/usr/bin:/bin:/opt/bin",
		"LD_LIBRARY_PATH": task + ":" + task + "/lib:/opt/lib",
	}
	env := make([]string, 0, len(vars)+len(p.variables))
	for name, value := range vars {
		if _, own := p.variables[name]; !own {
			env = append(env, name+"="+value)
		}
	}
	for name, value := range p.variables {
		env = append(env, name+"="+value)
	}
	return env
}

// errInit is a failed init phase, with the runtime's answer.
type errInit struct{ body []byte }

func (e *errInit) Error() string { return "init failed: " + string(e.body) }

// init waits for the end of the init phase.
func (e *environment) init(deadline time.Time) error {
	_ = e.api.SetReadDeadline(deadline)
	call, err := readCall(e.reader)
	if err != nil {
		return err
	}
	switch call.kind {
	case callNext:
		e.ready, e.asked = true, true
		e.initTook = time.Since(e.started)
		return nil
	case callInitError:
		_ = accept(e.api, 202) // the runtime then exits by itself
		return &errInit{call.body}
	default:
		return errors.New("runtime answers before it was asked")
	}
}

// invoke sends an invocation to the process and waits for its answer, at most
// for the function's timeout. When it returns, all processes that the
// invocation left are dead and the environment's own process is stopped.
func (e *environment) invoke(id string, traceID string, payload []byte) outcome {
	if e.invocations++; e.invocations > 1 {
		e.log.reset()
	} else {
		e.log.drain() // the init phase's output comes before START
	}
	e.log.printf("START RequestId: %s Version: %s\n", id, latest)
	timeout := e.program.timeout()
	began := time.Now()
	answer, err := e.exchange(invocation{
		id: id, arn: e.program.arn, traceID: traceID, deadline: began.Add(timeout).UnixMilli(), payload: payload,
	}, began.Add(timeout))
	took := time.Since(began)
	if err != nil {
		return e.end(id, err, min(took, timeout))
	}
	o := outcome{payload: answer.body, took: took}
	status := ""
	switch {
	case answer.tooLarge:
		o.functionError, status = "Unhandled", "Status: error\tError Type: Function.ResponseSizeTooLarge\t"
		o.payload = errorBody("Function.ResponseSizeTooLarge", fmt.Sprintf("Response payload size exceeded maximum allowed payload size (%d bytes).", maxAnswer))
	case answer.kind == callError:
		o.functionError = "Unhandled"
		o.payload = withRequestID(answer.body, id)
	}
	peak, err := e.freeze()
	o.dead = err != nil
	e.log.drain()
	e.log.report(id, took, e.takeInit(), e.program.memoryMB, peak, status)
	o.log = e.log.tail()
	return o
}

// exchange sends one invocation over the Runtime API and reads its answer.
func (e *environment) exchange(inv invocation, deadline time.Time) (runtimeCall, error) {
	_ = e.api.SetDeadline(deadline)
	if e.frozen {
		e.frozen = false
		if err := e.proc.Thaw(); err != nil {
			return runtimeCall{}, err
		}
	}
	if !e.asked {
		call, err := readCall(e.reader)
		if err != nil {
			return call, err
		}
		if call.kind != callNext {
			return call, errors.New("runtime answers without being asked")
		}
	}
	e.asked = false
	if err := inv.write(e.api); err != nil {
		return runtimeCall{}, err
	}
	answer, err := readCall(e.reader)
	if err != nil {
		return answer, err
	}
	if (answer.kind != callResponse && answer.kind != callError) || answer.id != inv.id {
		return answer, errors.New("runtime answers another invocation")
	}
	status := 202
	if answer.tooLarge {
		status = 413
	}
	return answer, accept(e.api, status)
}

func (e *environment) freeze() (int64, error) {
	peak, err := e.proc.Freeze()
	e.frozen = err == nil
	return peak, err
}

// takeInit returns the duration of the init phase once, and then 0.
func (e *environment) takeInit() time.Duration {
	d := e.initTook
	e.initTook = 0
	return d
}
