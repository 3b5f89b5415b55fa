package lambda

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"go.uber.org/zap"
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
	region, endpoint            string
	variables                   map[string]string
	memoryMB, timeoutSeconds    int
	tmpMB                       int
	keeps                       bool // the processes that its init phase left, through every freeze
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
	ready       bool   // the init phase has ended
	asked       bool   // its runtime waits for the next invocation
	owed        []byte // the answer to the call before that, if the runtime did not wait for it
	frozen      bool
	initTook    time.Duration // for the first invocation's report
	invocations int
	idleSince   time.Time
	rest        *time.Timer // freezes it while it is idle
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

// start starts an environment and returns during its init phase. It takes an
// interpreter that waits, if there is one. sdk is the directory of boto3, or "".
func (s *Server) start(p *program, sdk string) (*environment, error) {
	began := time.Now()
	if e := s.blanks.take(p); e != nil {
		err := e.become(p, sdk, began)
		if err == nil {
			return e, nil
		}
		s.log.Warn("an interpreter that waited cannot be used; another one starts", zap.String("function", p.name), zap.Error(err))
		e.kill()
	}
	e, err := launch(s.life, s.spares, p.spec(sdk), s.guardOf(p.name))
	if err != nil {
		return nil, err
	}
	_ = e.begin(p, sdk, nil, began) // if the process has ended, init finds out how
	return e, nil
}

// launch starts the process of an environment. It adds the Runtime API and the
// log to the spec.
func launch(ctx context.Context, spares *sandbox.Spares, spec sandbox.Spec, guard panics.Guard) (*environment, error) {
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
	spec.ExtraFiles, spec.Stdout, spec.Stderr = []*os.File{theirs}, out, out
	spec.Panicked = func(caught *panics.Error) { guard.Report(caught) }
	proc, err := spares.Start(ctx, spec)
	if err != nil {
		ours.Close()
		return nil, err
	}
	return &environment{proc: proc, api: ours, reader: bufio.NewReaderSize(ours, 64<<10), log: log}, nil
}

// begin tells the waiting runtime its function. The variables are those that the
// process does not have yet.
func (e *environment) begin(p *program, sdk string, variables map[string]string, began time.Time) error {
	e.program, e.started = p, began
	e.log.printf("INIT_START Runtime Version: %s\tRuntime Version ARN: \n", p.interpreter.Version)
	text, err := json.Marshal(struct {
		Task      string            `json:"task"`
		Layers    string            `json:"layers"`
		SDK       string            `json:"sdk"`
		Variables map[string]string `json:"variables"`
	}{p.task().Path(), path(p.layer()), path(boto(sdk)), variables})
	if err != nil {
		return fmt.Errorf("tell the runtime its function: %w", err)
	}
	_ = e.api.SetWriteDeadline(began.Add(initPatience))
	_, err = e.api.Write(append(text, '\n'))
	return err
}

// The binds of a function's code, its layers, and boto3. One without a source is
// left out, and its path is "".
func (p *program) task() sandbox.Bind  { return sandbox.Bind{Source: p.code, Target: taskRoot} }
func (p *program) layer() sandbox.Bind { return sandbox.Bind{Source: p.layers, Target: "/opt"} }
func boto(sdk string) sandbox.Bind     { return sandbox.Bind{Source: sdk, Target: "/var/lang/sdk"} }

const taskRoot = "/var/task"

func path(b sandbox.Bind) string {
	if b.Source == "" {
		return ""
	}
	return b.Path()
}

func (p *program) binds(sdk string) []sandbox.Bind {
	return slices.DeleteFunc([]sandbox.Bind{p.task(), p.layer(), boto(sdk)}, func(b sandbox.Bind) bool { return b.Source == "" })
}

// spec is the sandbox of the process. A function can write to /tmp only, whose
// size is separate from the memory.
func (p *program) spec(sdk string) sandbox.Spec {
	s := bare(p.interpreter, p.bootstrap)
	s.Env, s.Dir, s.Binds = list(p.environ()), p.task().Path(), append(s.Binds, p.binds(sdk)...)
	s.MemoryBytes, s.TmpBytes = int64(p.memoryMB)<<20, int64(p.tmpMB)<<20
	return s
}

// bare is the sandbox of an interpreter without a function.
func bare(python interpreter.Interpreter, bootstrap string) sandbox.Spec {
	runtime := runtimeBind(bootstrap)
	binds := []sandbox.Bind{runtime}
	if python.Prefix != "" {
		binds = append(binds, sandbox.Bind{Source: python.Prefix})
	}
	return sandbox.Spec{
		Path: python.Path, Args: []string{"-u", "-B", "-s", filepath.Join(runtime.Path(), "bootstrap.py")},
		Binds: binds, Network: true, MaxProcesses: 512,
	}
}

func runtimeBind(bootstrap string) sandbox.Bind {
	return sandbox.Bind{Source: bootstrap, Target: "/var/runtime"}
}

// list is an environment in the form of exec.
func list(variables map[string]string) []string {
	env := make([]string, 0, len(variables))
	for name, value := range variables {
		env = append(env, name+"="+value)
	}
	return env
}

// environ is the complete environment: Lambda's variables, the address of the
// stack, which SDKs in the function then call instead of AWS, and the function's.
// It has no credentials: a function's role has no permissions.
func (p *program) environ() map[string]string {
	task := p.task().Path()
	vars := map[string]string{
		"AWS_DEFAULT_REGION": p.region, "AWS_REGION": p.region,
		"AWS_EXECUTION_ENV":               "AWS_Lambda_" + p.runtime,
		"AWS_LAMBDA_FUNCTION_NAME":        p.name,
		"AWS_LAMBDA_FUNCTION_MEMORY_SIZE": fmt.Sprint(p.memoryMB),
		"AWS_LAMBDA_FUNCTION_VERSION":     latest,
		"AWS_LAMBDA_INITIALIZATION_TYPE":  "on-demand",
		"AWS_LAMBDA_LOG_GROUP_NAME":       "/aws/lambda/" + p.name,
		"AWS_LAMBDA_LOG_STREAM_NAME":      time.Now().UTC().Format("2006/01/02/") + "[" + latest + "]" + newID(),
		"LAMBDA_TASK_ROOT":                task, "LAMBDA_RUNTIME_DIR": runtimeBind(p.bootstrap).Path(), "_HANDLER": p.handler,
	}
	if p.endpoint != "" {
		vars["AWS_ENDPOINT_URL"] = p.endpoint
	}
	maps.Copy(vars, atStart(p.interpreter, task))
	if p.runtime == custom {
		vars["LD_LIBRARY_PATH"] = task + ":" + task + "/lib:" + p.layer().Path() + "/lib"
	}
	maps.Copy(vars, p.variables)
	return vars
}

// atStart are the variables that an interpreter, or its linker, reads when it
// starts.
func atStart(python interpreter.Interpreter, task string) map[string]string {
	return map[string]string{
		"LANG": "en_US.UTF-8", "TZ": ":UTC",
		"PATH":            filepath.Dir(python.Path) + ":/usr/local/bin:/usr/bin:/bin:/opt/bin",
		"LD_LIBRARY_PATH": task + ":" + task + "/lib:/opt/lib",
	}
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
		if e.program.keeps {
			return e.proc.Keep()
		}
		return nil
	case callInitError:
		_, _ = e.api.Write(acceptance(http.StatusAccepted)) // the runtime then exits by itself
		return &errInit{call.body}
	default:
		return errors.New("runtime answers before it was asked")
	}
}

// invoke sends an invocation to the process and waits for its answer, at most
// for the function's timeout. When it returns, all processes that the
// invocation left are dead. The environment's own process goes on until its pool
// freezes it.
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
	peak, alone := e.proc.Alone()
	if !alone {
		peak, err = e.freeze()
		o.dead = err != nil
	}
	e.log.drain()
	e.log.report(id, took, e.takeInit(), e.program.memoryMB, peak, status)
	o.log = e.log.tail()
	return o
}

// exchange sends one invocation over the Runtime API and reads its answer.
func (e *environment) exchange(inv invocation, deadline time.Time) (runtimeCall, error) {
	_ = e.api.SetDeadline(deadline)
	if err := e.hand(inv); err != nil {
		return runtimeCall{}, err
	}
	answer, err := readCall(e.reader)
	if err != nil {
		return answer, err
	}
	if (answer.kind != callResponse && answer.kind != callError) || answer.id != inv.id {
		return answer, errors.New("runtime answers another invocation")
	}
	return answer, e.accept(answer)
}

// mostAhead is how much of an invocation is written to a frozen runtime. The
// socket takes it without waiting for the runtime to read: the runtime has read
// everything before, as it has asked for more.
const mostAhead = 64 << 10

// hand thaws the runtime and gives it an invocation: in this order only if it has
// to read meanwhile, since a runtime that continues before there is something to
// read is woken twice.
func (e *environment) hand(inv invocation) error {
	text := inv.append(e.owed)
	ahead := (e.asked || headIn(e.reader) != nil) && len(text) <= mostAhead
	if !ahead {
		if err := e.thaw(); err != nil {
			return err
		}
	}
	if err := e.awaitAsked(); err != nil {
		return err
	}
	e.asked, e.owed = false, nil
	if _, err := e.api.Write(text); err != nil {
		return err
	}
	return e.thaw()
}

// accept answers a call with an answer. A runtime that has made its next call in
// the same write gets this with the next invocation.
func (e *environment) accept(answer runtimeCall) error {
	status := http.StatusAccepted
	if answer.tooLarge {
		status = http.StatusRequestEntityTooLarge
	}
	if headIn(e.reader) != nil {
		e.owed = acceptance(status)
		return nil
	}
	_, err := e.api.Write(acceptance(status))
	return err
}

// awaitAsked returns once the runtime has asked for its next invocation.
func (e *environment) awaitAsked() error {
	if e.asked {
		return nil
	}
	head, err := awaitHead(e.reader)
	if err != nil {
		return err
	}
	var call runtimeCall
	if length, err := call.parse(head); err != nil || call.kind != callNext || length > 0 {
		return errors.Join(errors.New("runtime does not ask for its next invocation"), err)
	}
	_, err = e.reader.Discard(len(head))
	return err
}

func (e *environment) freeze() (int64, error) {
	peak, err := e.proc.Freeze()
	e.frozen = err == nil
	return peak, err
}

func (e *environment) thaw() error {
	if !e.frozen {
		return nil
	}
	e.frozen = false
	return e.proc.Thaw()
}

// takeInit returns the duration of the init phase once, and then 0.
func (e *environment) takeInit() time.Duration {
	d := e.initTook
	e.initTook = 0
	return d
}
