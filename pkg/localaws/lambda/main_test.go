package lambda

import (
	"archive/zip"
	"bytes"
	"context"
	"fmt"
	"net/http/httptest"
	"os"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"
	"go.uber.org/zap/zaptest"

	"github.com/scriptfleet/scriptfleet/pkg/fleettest/wait"
	"github.com/scriptfleet/scriptfleet/pkg/interpreter"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv("LAMBDA_SERVE"); dir != "" {
		serveUntilKilled(dir)
	}
	os.Exit(m.Run())
}

// bench is a server and a real client.
type bench struct {
	t      testing.TB
	server *Server
	client *lambda.Client
	python string // the runtime to use
}

const (
	testRegion  = "eu-west-1"
	testAccount = "000000000000"
	testRole    = "arn:aws:iam::000000000000:role/none"
)

func newBench(t testing.TB, change ...func(*Config, *Deps)) *bench {
	t.Helper()
	set, err := interpreter.Default(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	newest, _ := set.Newest()
	cfg := Config{Region: testRegion, Account: testAccount, Dir: t.TempDir(), ControlRate: -1, GetFunctionRate: -1}
	deps := Deps{Log: zaptest.NewLogger(t), Interpreters: set}
	for _, c := range change {
		c(&cfg, &deps)
	}
	s, err := New(cfg, deps)
	if err != nil {
		t.Fatal(err)
	}
	b := &bench{t: t, server: s, python: "python" + newest.Minor}
	front := httptest.NewServer(s)
	b.client = client(front.URL)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := s.Close(ctx); err != nil {
			t.Error(err)
		}
		front.CloseClientConnections()
		front.Close()
	})
	return b
}

func client(url string) *lambda.Client {
	return lambda.New(lambda.Options{
		Region: testRegion, BaseEndpoint: &url, Credentials: credentials.NewStaticCredentialsProvider("AKID", "SECRET", ""),
		Retryer: aws.NopRetryer{},
	})
}

func zipOf(t testing.TB, files map[string]string) []byte {
	t.Helper()
	var buf bytes.Buffer
	z := zip.NewWriter(&buf)
	for name, text := range files {
		w, err := z.Create(name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

// spec is a function of one file, app.py, with the handler main.
func (b *bench) spec(name, code string) *lambda.CreateFunctionInput {
	return &lambda.CreateFunctionInput{
		FunctionName: &name, Runtime: types.Runtime(b.python), Handler: aws.String("app.main"), Role: aws.String(testRole),
		Code: &types.FunctionCode{ZipFile: zipOf(b.t, map[string]string{"app.py": code})},
	}
}

// create creates a function and waits until it is Active.
func (b *bench) create(name, code string, change ...func(*lambda.CreateFunctionInput)) {
	b.t.Helper()
	in := b.spec(name, code)
	for _, c := range change {
		c(in)
	}
	if _, err := b.client.CreateFunction(b.t.Context(), in); err != nil {
		b.t.Fatal(err)
	}
	b.await(name, "Active")
}

func (b *bench) await(name string, state types.State) {
	b.t.Helper()
	wait.Until(b.t, 10*time.Second, name+" is not "+string(state), func() bool {
		out, err := b.client.GetFunction(b.t.Context(), &lambda.GetFunctionInput{FunctionName: &name})
		return err == nil && out.Configuration.State == state
	})
}

func (b *bench) invoke(name, payload string) (*lambda.InvokeOutput, error) {
	return b.client.Invoke(b.t.Context(), &lambda.InvokeInput{FunctionName: &name, Payload: []byte(payload), LogType: types.LogTypeTail})
}

// setState puts a function into a state, such as Inactive or Failed, which no
// function reaches by itself here.
func (s *Server) setState(name, state string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	f, ok := s.functions[name]
	if !ok {
		return fmt.Errorf("set state: no function %s", name)
	}
	f.State, f.StateReason, f.StateReasonCode = state, "Set by a test.", map[string]string{stateInactive: "Idle", stateFailed: "InternalError"}[state]
	return s.store.putFunction(f)
}
