package lambda

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"
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
