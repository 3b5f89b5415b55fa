// Package functiontest tests an implementation of function.Maker and
// function.Invoker against their contract.
package functiontest

import (
	"archive/zip"
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/scriptfleet/scriptfleet/pkg/function"
	"github.com/scriptfleet/scriptfleet/pkg/run"
)

// Service is an implementation under test.
type Service interface {
	function.Maker
	function.Invoker
}

// Open starts a service without functions. A created function stays Pending for
// at least pending. The service ends with the test.
type Open func(t *testing.T, pending time.Duration) Service

// suite is one test's service and the names of its own functions and layers.
type suite struct {
	Service
	t       *testing.T
	runtime string
}

// Run runs the contract's tests against the service. runtime is one whose
// functions the service can execute.
func Run(t *testing.T, runtime string, open Open) {
	for name, test := range map[string]func(s suite){
		"CreatedFunctionAnswersOnceItIsAwaited": suite.createdFunctionAnswers,
		"CreateOfWhatIsThereIsAConflict":        suite.createIsAConflict,
		"WhatIsNotThereIsNotFound":              suite.notFound,
		"DeletedFunctionCanBeMadeAgain":         suite.deleted,
		"NewestVersionOfALayerIsFound":          suite.layers,
		"FunctionWithALayerThatIsGoneIsNotMade": suite.goneLayer,
		"ListTellsOfEveryFunction":              suite.list,
		"EndedContextSendsNothing":              suite.endedContext,
	} {
		t.Run(name, func(t *testing.T) { test(suite{open(t, 0), t, runtime}) })
	}
	t.Run("PendingFunctionIsNotInvoked", func(t *testing.T) {
		suite{open(t, time.Second), t, runtime}.pending()
	})
}

var count atomic.Int64

func (s suite) spec() function.Spec {
	code, err := function.Packager{}.Pack(context.Background(), run.Script{Source: "def main(input): return None\n"})
	s.must("pack", err)
	return function.Spec{
		Name:           fmt.Sprintf("scriptfleet-suite-%d", count.Add(1)),
		Runtime:        s.runtime,
		Handler:        function.Handler,
		Code:           code,
		TimeoutSeconds: 10,
		MemoryMB:       128,
		RoleARN:        "arn:aws:iam::123456789012:role/scriptfleet-function",
		Description:    "made by a test",
	}
}

func (s suite) created() function.Spec {
	s.t.Helper()
	spec := s.spec()
	s.must("create", s.Create(s.t.Context(), spec))
	s.must("await", s.Await(s.t.Context(), spec.Name))
	return spec
}

func (s suite) must(what string, err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatalf("%s: %v", what, err)
	}
}

// fails asserts the class of an error, and that the error names the call and
// the function or layer.
func (s suite) fails(what string, err error, class function.Class) {
	s.t.Helper()
	var e *function.Error
	if !errors.As(err, &e) || e.Class != class {
		s.t.Fatalf("%s: %v, want class %s", what, err, class)
	}
	if e.Op == "" || e.Reason == "" || e.Err == nil {
		s.t.Errorf("%s: an error that says too little: %+v", what, e)
	}
}

func (s suite) invoke(name string) (function.Invocation, error) {
	body, err := function.Call{}.Payload()
	s.must("encode", err)
	return s.Invoke(s.t.Context(), "acme", name, body)
}

func (s suite) answers(name string) {
	s.t.Helper()
	inv, err := s.invoke(name)
	s.must("invoke", err)
	if o := function.Read(inv, run.Script{}); o.Status != run.Succeeded || string(o.Output) != "null" {
		s.t.Fatalf("invocation came to %+v", o)
	}
	if inv.RequestID == "" || inv.FunctionError != "" {
		s.t.Errorf("invocation %+v", inv)
	}
}

func (s suite) createdFunctionAnswers() {
	spec := s.created()
	s.answers(spec.Name)
	s.answers(spec.Name)
}

func (s suite) createIsAConflict() {
	spec := s.created()
	s.fails("create again", s.Create(s.t.Context(), spec), function.Conflict)
	s.answers(spec.Name)
}

func (s suite) notFound() {
	_, err := s.invoke("scriptfleet-suite-none")
	s.fails("invoke", err, function.NotFound)
	s.fails("await", s.Await(s.t.Context(), "scriptfleet-suite-none"), function.NotFound)
	s.fails("delete", s.Delete(s.t.Context(), "scriptfleet-suite-none"), function.NotFound)
	_, err = s.FindLayer(s.t.Context(), "scriptfleet-suite-none")
	s.fails("find layer", err, function.NotFound)
}

func (s suite) deleted() {
	spec := s.created()
	s.must("delete", s.Delete(s.t.Context(), spec.Name))
	_, err := s.invoke(spec.Name)
	s.fails("invoke", err, function.NotFound)
	s.must("create again", s.Create(s.t.Context(), spec))
	s.must("await", s.Await(s.t.Context(), spec.Name))
	s.answers(spec.Name)
}

func (s suite) layer() function.LayerSpec {
	var body bytes.Buffer
	w := zip.NewWriter(&body)
	f, err := w.Create("python/suite.py")
	s.must("zip", err)
	_, err = f.Write([]byte("x = 1\n"))
	s.must("zip", err)
	s.must("zip", w.Close())
	return function.LayerSpec{Name: fmt.Sprintf("scriptfleet-suite-layer-%d", count.Add(1)), Runtime: s.runtime, Zip: body.Bytes()}
}

func (s suite) layers() {
	l := s.layer()
	first, err := s.PublishLayer(s.t.Context(), l)
	s.must("publish", err)
	second, err := s.PublishLayer(s.t.Context(), l)
	s.must("publish again", err)
	found, err := s.FindLayer(s.t.Context(), l.Name)
	s.must("find", err)
	if first == second || found != second {
		s.t.Errorf("published %s, then %s; found %s", first, second, found)
	}
	spec := s.spec()
	spec.LayerARNs = []string{second}
	s.must("create", s.Create(s.t.Context(), spec))
	s.must("await", s.Await(s.t.Context(), spec.Name))
	s.answers(spec.Name)
}

func (s suite) goneLayer() {
	spec := s.spec()
	arn, err := s.PublishLayer(s.t.Context(), s.layer())
	s.must("publish", err)
	spec.LayerARNs = []string{arn + "99"}
	s.fails("create", s.Create(s.t.Context(), spec), function.NotFound)
}

func (s suite) list() {
	made := map[string]function.Spec{}
	for range 3 {
		spec := s.created()
		made[spec.Name] = spec
	}
	infos, err := s.List(s.t.Context())
	s.must("list", err)
	for _, info := range infos {
		spec, ok := made[info.Name]
		if ok && (info.Runtime != spec.Runtime || info.Description != spec.Description || info.CodeBytes == 0 || info.LastModified.IsZero()) {
			s.t.Errorf("listed as %+v", info)
		}
		delete(made, info.Name)
	}
	if len(made) != 0 {
		s.t.Errorf("not listed: %v", made)
	}
}

func (s suite) pending() {
	spec := s.spec()
	s.must("create", s.Create(s.t.Context(), spec))
	_, err := s.invoke(spec.Name)
	s.fails("invoke while Pending", err, function.NotReady)
	short, cancel := context.WithTimeout(s.t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := s.Await(short, spec.Name); !errors.Is(err, context.DeadlineExceeded) {
		s.t.Errorf("await of a context that ends: %v", err)
	}
	s.must("await", s.Await(s.t.Context(), spec.Name))
	s.answers(spec.Name)
}

func (s suite) endedContext() {
	spec := s.created()
	ctx, cancel := context.WithCancel(s.t.Context())
	cancel()
	_, err := s.Invoke(ctx, "acme", spec.Name, []byte("{}"))
	s.fails("invoke", err, function.Unsent)
	if !errors.Is(err, context.Canceled) {
		s.t.Errorf("invoke: %v does not say that its context ended", err)
	}
}
