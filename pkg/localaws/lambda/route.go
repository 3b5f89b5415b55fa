package lambda

import (
	"errors"
	"net/http"
	"net/url"
	"strings"

	"github.com/scriptfleet/scriptfleet/pkg/localaws/auth"
)

// operation is one call of the API.
type operation struct {
	name   string // as IAM and the faults name it
	action string // IAM's name, if it differs
	do     func(*Server, http.ResponseWriter, *http.Request, target) error
	bucket func(*Server) bool // takes a token; nil: unlimited
	layer  bool               // the resource is a layer
}

func (o *operation) iamAction() string {
	if o.action != "" {
		return "lambda:" + o.action
	}
	return "lambda:" + o.name
}

func fromControl(s *Server) bool     { return s.control.Allow() }
func fromGetFunction(s *Server) bool { return s.getFunction.Allow() }

// The calls, by method and by the pattern of the path after the API's date.
var operations = map[string]*operation{
	"POST functions":                 {name: "CreateFunction", do: (*Server).createFunction, bucket: fromControl},
	"GET functions":                  {name: "ListFunctions", do: (*Server).listFunctions, bucket: fromControl},
	"GET functions/*":                {name: "GetFunction", do: (*Server).getFunctionOp, bucket: fromGetFunction},
	"DELETE functions/*":             {name: "DeleteFunction", do: (*Server).deleteFunction, bucket: fromControl},
	"GET functions/*/configuration":  {name: "GetFunctionConfiguration", do: (*Server).getConfiguration, bucket: fromControl},
	"POST functions/*/invocations":   {name: "Invoke", action: "InvokeFunction", do: (*Server).invoke},
	"PUT functions/*/concurrency":    {name: "PutFunctionConcurrency", do: (*Server).putConcurrency, bucket: fromControl},
	"GET functions/*/concurrency":    {name: "GetFunctionConcurrency", do: (*Server).getConcurrency, bucket: fromControl},
	"DELETE functions/*/concurrency": {name: "DeleteFunctionConcurrency", do: (*Server).deleteConcurrency, bucket: fromControl},
	"GET layers":                     {name: "ListLayers", do: (*Server).listLayers, bucket: fromControl, layer: true},
	"GET layers/*/versions":          {name: "ListLayerVersions", do: (*Server).listLayerVersions, bucket: fromControl, layer: true},
	"POST layers/*/versions":         {name: "PublishLayerVersion", do: (*Server).publishLayer, bucket: fromControl, layer: true},
	"GET layers/*/versions/*":        {name: "GetLayerVersion", do: (*Server).getLayerVersion, bucket: fromControl, layer: true},
	"DELETE layers/*/versions/*":     {name: "DeleteLayerVersion", do: (*Server).deleteLayerVersion, bucket: fromControl, layer: true},
	"GET account-settings":           {name: "GetAccountSettings", do: (*Server).accountSettings, bucket: fromControl},
	"GET layers?find":                {name: "GetLayerVersion", do: (*Server).getLayerVersion, bucket: fromControl, layer: true},
}

// target is the function or layer that a call names.
type target struct {
	name    string // of the function or the layer; empty if the call names none
	version string // of the layer
	arn     string
}

// ServeHTTP answers one call. The handler in front of it has checked the
// signature and put the identity into the request's context; without an
// identity every call is allowed.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("X-Amzn-Requestid", newID())
	op, args, err := route(r)
	if err != nil {
		fail(w, err)
		return
	}
	serve := func(w http.ResponseWriter) {
		if err := s.serve(op, args, w, r); err != nil {
			fail(w, err)
		}
	}
	if fault, ok := s.fault(op.name, args); ok {
		fault.apply(s, w, r, serve)
		return
	}
	serve(w)
}

func (s *Server) serve(op *operation, args []string, w http.ResponseWriter, r *http.Request) error {
	t, err := s.target(op, args)
	if err != nil {
		return err
	}
	if err := s.authorize(r, op, t); err != nil {
		return err
	}
	if op.bucket != nil && !op.bucket(s) {
		return throttled("CallerRateLimitExceeded", "Rate exceeded")
	}
	return op.do(s, w, r, t)
}

// route returns the operation, and the parts of the path at its pattern's
// stars.
func route(r *http.Request) (*operation, []string, error) {
	unknown := &apiError{status: 404, typ: "UnknownOperationException", text: "There is no operation " + r.Method + " " + r.URL.Path}
	parts := strings.Split(strings.Trim(r.URL.EscapedPath(), "/"), "/")
	if len(parts) < 2 || len(parts) > 5 {
		return nil, nil, unknown
	}
	var args []string
	pattern := r.Method
	for n, part := range parts[1:] {
		if n%2 == 1 { // parts alternate between fixed words and names
			value, err := url.PathUnescape(part)
			if err != nil {
				return nil, nil, unknown
			}
			args, part = append(args, value), "*"
		}
		pattern += map[bool]string{true: " ", false: "/"}[n == 0] + part
	}
	if r.URL.Query().Get("find") == "LayerVersion" {
		pattern += "?find"
		args = []string{r.URL.Query().Get("Arn")}
	}
	op, ok := operations[pattern]
	if !ok {
		return nil, nil, unknown
	}
	return op, args, nil
}

// authorize checks the permission of the call's signer.
func (s *Server) authorize(r *http.Request, op *operation, t target) error {
	id, ok := auth.From(r.Context())
	if !ok || id.Allows(op.iamAction(), t.arn) {
		return nil
	}
	policy := "identity-based"
	if id.Session {
		policy = "session"
	}
	return denied(id.ARN, op.iamAction(), t.arn, policy)
}

func fail(w http.ResponseWriter, err error) {
	var api *apiError
	if !errors.As(err, &api) {
		api = internal(err)
	}
	api.write(w)
}
