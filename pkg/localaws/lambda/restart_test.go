package lambda

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"
	"go.etcd.io/bbolt"

	"github.com/scriptfleet/scriptfleet/pkg/fleettest/process"
	"github.com/scriptfleet/scriptfleet/pkg/fleettest/wait"
	"github.com/scriptfleet/scriptfleet/pkg/interpreter"
)

func openDB(dir string) (*bbolt.DB, error) {
	return bbolt.Open(filepath.Join(dir, "state.db"), 0o600, &bbolt.Options{Timeout: 5 * time.Second})
}

// serveUntilKilled is the process that the test kills: it serves, and prints
// its address.
func serveUntilKilled(dir string) {
	err := func() error {
		db, err := openDB(dir)
		if err != nil {
			return err
		}
		set, err := interpreter.Default(context.Background())
		if err != nil {
			return err
		}
		s, err := New(Config{Region: testRegion, Account: testAccount, Dir: dir, DB: db}, Deps{Interpreters: set})
		if err != nil {
			return err
		}
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return err
		}
		fmt.Printf("http://%s\n", l.Addr())
		return http.Serve(l, s)
	}()
	fmt.Println(err)
	os.Exit(1)
}

func TestFunctionsAndLayersSurviveKillNine(t *testing.T) {
	dir := t.TempDir()
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), "LAMBDA_SERVE="+dir)
	pipe, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line := make([]byte, 256)
	n, _ := pipe.Read(line)
	set, _ := interpreter.Default(t.Context())
	newest, _ := set.Newest()
	b := &bench{t: t, client: client(strings.TrimSpace(string(line[:n]))), python: "python" + newest.Minor}
	layer, err := b.publish("kept", map[string]string{"python/kept.py": "x = 'kept'"})
	if err != nil {
		t.Fatal(err)
	}
	marker := fmt.Sprintf("killed-%d", time.Now().UnixNano())
	b.create("survivor", "import kept, subprocess, sys\ndef main(e, c):\n    return subprocess.call([sys.executable, '-c', 'import time; time.sleep(300)', e]) if e else kept.x\n",
		func(in *lambda.CreateFunctionInput) {
			in.Layers, in.Timeout = []string{*layer.LayerVersionArn}, aws.Int32(600)
		})
	if _, err := b.client.PutFunctionConcurrency(t.Context(), &lambda.PutFunctionConcurrencyInput{FunctionName: aws.String("survivor"), ReservedConcurrentExecutions: aws.Int32(7)}); err != nil {
		t.Fatal(err)
	}
	if _, err := b.client.Invoke(t.Context(), &lambda.InvokeInput{FunctionName: aws.String("survivor"), InvocationType: types.InvocationTypeEvent, Payload: fmt.Appendf(nil, "%q", marker)}); err != nil {
		t.Fatal(err)
	}
	wait.Until(t, 10*time.Second, "the script starts no process", func() bool { return len(process.Marked("cmdline", marker)) > 0 })
	unpacked := unpackedTimes(t, dir)

	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	wait.Until(t, 10*time.Second, "processes go on", func() bool { return len(process.Marked("cmdline", marker)) == 0 })

	db, err := openDB(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	again := newBench(t, func(c *Config, _ *Deps) { c.Dir, c.DB = dir, db })
	out, err := again.invoke("survivor", "null")
	if err != nil || string(out.Payload) != `"kept"` {
		t.Errorf("%s %v", out.Payload, err)
	}
	got, err := again.client.GetFunction(t.Context(), &lambda.GetFunctionInput{FunctionName: aws.String("survivor")})
	if err != nil || aws.ToInt32(got.Concurrency.ReservedConcurrentExecutions) != 7 {
		t.Error(got, err)
	}
	if now := unpackedTimes(t, dir); now != unpacked {
		t.Errorf("unpacked again: %s, then %s", unpacked, now)
	}
	next, err := again.publish("kept", map[string]string{"python/kept.py": "x = 2"})
	if err != nil || next.Version != 2 {
		t.Error(next, err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if err := again.server.Close(ctx); err != nil { // before the database is closed
		t.Error(err)
	}
}

// unpackedTimes returns when each folder was unpacked.
func unpackedTimes(t *testing.T, dir string) (times string) {
	t.Helper()
	entries, err := os.ReadDir(filepath.Join(dir, "unpacked"))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		info, err := e.Info()
		if err != nil {
			t.Fatal(err)
		}
		times += e.Name()[:8] + info.ModTime().Format(" 15:04:05.000000 ")
	}
	return times
}
