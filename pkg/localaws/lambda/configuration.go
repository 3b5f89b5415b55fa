package lambda

import (
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/scriptfleet/scriptfleet/pkg/interpreter"
)

// createInput has the fields of CreateFunction that this endpoint supports.
type createInput struct {
	FunctionName, Runtime, Handler, Role, Description string
	PackageType                                       string
	Timeout, MemorySize                               *int
	Code                                              codeInput
	Layers                                            []string
	Architectures                                     []string
	Environment                                       struct{ Variables map[string]string }
	EphemeralStorage                                  struct{ Size int }
	Tags                                              map[string]string
}

// codeInput is where a zip is: in the call, or in S3.
type codeInput struct {
	ZipFile                          []byte
	S3Bucket, S3Key, S3ObjectVersion string
}

// configuration is Lambda's FunctionConfiguration.
type configuration struct {
	FunctionName, FunctionArn, Runtime, Handler, Role, Description string
	Timeout, MemorySize                                            int
	CodeSha256                                                     string
	CodeSize                                                       int64
	LastModified, LastUpdateStatus, RevisionId, Version            string
	State, StateReason, StateReasonCode                            string `json:",omitempty"`
	PackageType                                                    string
	Architectures                                                  []string
	Environment                                                    *variables      `json:",omitempty"`
	Layers                                                         []attachedLayer `json:",omitempty"`
	EphemeralStorage                                               map[string]int
	TracingConfig                                                  map[string]string
}

type variables struct{ Variables map[string]string }

type attachedLayer struct {
	Arn      string
	CodeSize int64
}

var roleARN = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^arn:aws[a-z-]*:iam::\d{12}:role/[a-zA-Z_0-9+=,.@\-_/]+$`)
})

// Lambda's least sizes of a function's memory and /tmp, which are its defaults.
const (
	leastMemoryMB = 128
	leastTmpMB    = 512
)

// newFunction validates the input of CreateFunction, in the order of the
// fields.
func (s *Server) newFunction(in createInput) (*function, error) {
	name, qualifier, err := s.ownName(in.FunctionName)
	if err != nil {
		return nil, err
	}
	f := &function{
		Name: name, ARN: s.functionARN(name), Runtime: in.Runtime, Handler: in.Handler, Role: in.Role, Description: in.Description,
		Timeout: or(in.Timeout, 3), MemorySize: or(in.MemorySize, leastMemoryMB), Ephemeral: max(in.EphemeralStorage.Size, leastTmpMB),
		Variables: in.Environment.Variables, Tags: in.Tags, Architectures: in.Architectures,
		Modified: time.Now().UTC(), Revision: newID(), State: statePending, StateReasonCode: "Creating", StateReason: "The function is being created.",
	}
	if len(f.Architectures) == 0 {
		f.Architectures = []string{map[string]string{"arm64": "arm64"}[runtime.GOARCH]}
		if f.Architectures[0] == "" {
			f.Architectures[0] = "x86_64"
		}
	}
	for _, arn := range in.Layers {
		f.Layers = append(f.Layers, attached{ARN: arn})
	}
	switch {
	case !validName(name, longestFunctionName) || qualifier != "":
		return nil, validation("functionName", in.FunctionName)
	case in.PackageType != "" && in.PackageType != "Zip":
		return nil, invalid("Only functions of package type Zip run here.")
	case f.Handler == "" || len(f.Handler) > 128 || strings.ContainsAny(f.Handler, " \t\r\n"):
		return nil, validation("handler", f.Handler)
	case !roleARN().MatchString(f.Role):
		return nil, validation("role", f.Role)
	case f.Timeout < 1 || f.Timeout > 900:
		return nil, rangeError("timeout", f.Timeout, 1, 900)
	case f.MemorySize < leastMemoryMB || f.MemorySize > 10240:
		return nil, rangeError("memorySize", f.MemorySize, leastMemoryMB, 10240)
	case f.Ephemeral > 10240:
		return nil, rangeError("ephemeralStorage.size", f.Ephemeral, leastTmpMB, 10240)
	case len(f.Description) > 256:
		return nil, invalid("Description must have length less than or equal to 256")
	case len(f.Layers) > 5:
		return nil, invalid("You cannot reference more than 5 layers.")
	}
	if err := checkVariables(f.Variables); err != nil {
		return nil, err
	}
	if f.Runtime == custom {
		return f, nil // its interpreter is in its layers
	}
	_, err = s.interpreterOf(f.Runtime)
	return f, err
}

// reserved are the variables that Lambda reserves.
var reserved = map[string]bool{
	"_HANDLER": true, "_X_AMZN_TRACE_ID": true, "AWS_DEFAULT_REGION": true, "AWS_REGION": true, "AWS_EXECUTION_ENV": true,
	"AWS_LAMBDA_FUNCTION_NAME": true, "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": true, "AWS_LAMBDA_FUNCTION_VERSION": true,
	"AWS_LAMBDA_INITIALIZATION_TYPE": true, "AWS_LAMBDA_LOG_GROUP_NAME": true, "AWS_LAMBDA_LOG_STREAM_NAME": true,
	"AWS_ACCESS_KEY": true, "AWS_ACCESS_KEY_ID": true, "AWS_SECRET_ACCESS_KEY": true, "AWS_SESSION_TOKEN": true,
	"AWS_LAMBDA_RUNTIME_API": true, "LAMBDA_TASK_ROOT": true, "LAMBDA_RUNTIME_DIR": true,
}

// checkVariables enforces the limit of 4 KB on a function's variables.
func checkVariables(vars map[string]string) error {
	size := 0
	for name, value := range vars {
		size += len(name) + len(value)
		switch {
		case reserved[name]:
			return invalid("Lambda was unable to configure your environment variables because the environment variables you have provided contains reserved keys that are currently not supported for modification. Reserved keys used in this request: %s", name)
		case !validName(name, 256) || strings.Contains(name, "-") || strings.ContainsAny(name[:1], "_0123456789") || strings.ContainsRune(value, 0):
			return validation("environment.variables", name)
		}
	}
	if size > 4<<10 {
		return invalid("Lambda was unable to configure your environment variables because the environment variables you have provided exceeded the 4KB limit. String measured: %d bytes", size)
	}
	return nil
}

// interpreterOf returns the interpreter of a runtime such as python3.13.
func (s *Server) interpreterOf(name string) (interpreter.Interpreter, error) {
	minor, python := strings.CutPrefix(name, "python")
	i, ok := s.deps.Interpreters.For(minor)
	if python && ok {
		return i, nil
	}
	newest, _ := s.deps.Interpreters.Newest()
	return i, invalid("The runtime parameter of %s is not supported here: it is not installed on this machine. Install Python %s, or use another runtime, such as python%s.", name, minor, newest.Minor)
}

func rangeError(field string, value, low, high int) error {
	bound, word := low, "greater"
	if value > high {
		bound, word = high, "less"
	}
	return &apiError{status: 400, typ: "ValidationException", text: "1 validation error detected: Value '" + strconv.Itoa(value) + "' at '" + field + "' failed to satisfy constraint: Member must have value " + word + " than or equal to " + strconv.Itoa(bound)}
}

// describe is the API's description of a function. The caller holds s.mu, or f
// is not in s.functions yet.
func (s *Server) describe(f *function) configuration {
	c := configuration{
		FunctionName: f.Name, FunctionArn: f.ARN, Runtime: f.Runtime, Handler: f.Handler, Role: f.Role, Description: f.Description,
		Timeout: f.Timeout, MemorySize: f.MemorySize, CodeSha256: f.Code.base64SHA(), CodeSize: f.Code.Size,
		LastModified: timestamp(f.Modified), LastUpdateStatus: "Successful", RevisionId: f.Revision, Version: latest,
		State: f.State, StateReason: f.StateReason, StateReasonCode: f.StateReasonCode,
		PackageType: "Zip", Architectures: f.Architectures,
		EphemeralStorage: map[string]int{"Size": f.Ephemeral}, TracingConfig: map[string]string{"Mode": "PassThrough"},
	}
	if len(f.Variables) > 0 {
		c.Environment = &variables{f.Variables}
	}
	for _, l := range f.Layers {
		c.Layers = append(c.Layers, attachedLayer{l.ARN, l.Size})
	}
	return c
}

func timestamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000-0700") }

func or(v *int, def int) int {
	if v == nil {
		return def
	}
	return *v
}
