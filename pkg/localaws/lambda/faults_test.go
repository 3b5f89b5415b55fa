package lambda

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"

	"github.com/scriptfleet/scriptfleet/pkg/localaws/auth"
)

func TestFaultsHitTheirCallsAndNoOthers(t *testing.T) {
	b := newBench(t)
	b.create("faulty", "import os\ndef main(e, c):\n    open('/tmp/n', 'a').write('x')\n    return os.path.getsize('/tmp/n')\n")
	faults := b.server.Faults()
	faults.Add(Fault{Op: "Invoke", Kind: Throttle, Reason: "FunctionInvocationRateLimitExceeded", Times: 1})
	_, err := b.invoke("faulty", "{}")
	var throttled *types.TooManyRequestsException
	if !errors.As(err, &throttled) || throttled.Reason != types.ThrottleReasonFunctionInvocationRateLimitExceeded {
		t.Error(err)
	}
	faults.Add(Fault{Op: "Invoke", Kind: ServerError, After: true, Times: 1})
	_, err = b.invoke("faulty", "{}")
	wantCode(t, err, "ServiceException")
	remove := faults.Add(Fault{Op: "Invoke", Kind: CloseConn, After: true})
	if _, err = b.invoke("faulty", "{}"); err == nil {
		t.Error("an answer came through a closed connection")
	}
	remove()
	faults.Add(Fault{Op: "GetFunction", Kind: ServerError})
	if out, err := b.invoke("faulty", "{}"); err != nil || string(out.Payload) != "3" {
		t.Errorf("want the third execution: %v %v", out, err)
	}
	faults.Clear()
	faults.Add(Fault{Kind: Hang})
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(20*time.Millisecond, cancel)
	if _, err := b.client.ListFunctions(ctx, &lambda.ListFunctionsInput{}); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

func TestFaultsCanBeSetFromAnotherProcessByTheAccountAlone(t *testing.T) {
	b := newBench(t)
	b.create("remote", echo)
	put := func(id auth.Identity) int {
		body := strings.NewReader(`{"Faults": [{"Op": "ListFunctions", "Kind": "throttle"}], "States": {"remote": "Failed"}}`)
		r := httptest.NewRequestWithContext(auth.With(t.Context(), id), http.MethodPut, "/2015-03-31/faults", body)
		w := httptest.NewRecorder()
		b.server.ServeHTTP(w, r)
		return w.Code
	}
	if code := put(auth.SessionOf("AKID", "arn", "id", auth.AllowAll())); code != 403 {
		t.Errorf("a session got %d", code)
	}
	if code := put(auth.Root(testAccount, "AKID")); code != 204 {
		t.Errorf("the account got %d", code)
	}
	_, err := b.client.ListFunctions(t.Context(), &lambda.ListFunctionsInput{})
	wantCode(t, err, "TooManyRequestsException")
	_, err = b.invoke("remote", "{}")
	wantCode(t, err, "ResourceConflictException", "Failed")
}
