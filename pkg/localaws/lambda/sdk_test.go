package lambda

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"
)

const importsSDK = "def main(e, c):\n    try:\n        import boto3\n        return boto3.whose\n    except ImportError as x: return str(x)\n"

func TestFunctionsFindTheSDKUnlessTheirLayersBringIt(t *testing.T) {
	var asked atomic.Int32
	b := newBench(t, func(_ *Config, d *Deps) {
		d.SDK = func(context.Context, string) ([]byte, error) {
			asked.Add(1)
			return zipOf(t, map[string]string{"python/boto3/__init__.py": "whose = 'the runtime'"}), nil
		}
	})
	b.create("other", echo)
	if _, err := b.invoke("other", "1"); err != nil || asked.Load() != 0 {
		t.Errorf("a function that names no SDK made it: %v", err)
	}
	own, err := b.client.PublishLayerVersion(t.Context(), &lambda.PublishLayerVersionInput{
		LayerName: aws.String("own"), Content: &types.LayerVersionContentInput{ZipFile: zipOf(t, map[string]string{"python/boto3/__init__.py": "whose = 'the author'"})},
	})
	if err != nil {
		t.Fatal(err)
	}
	b.create("requires", importsSDK, func(in *lambda.CreateFunctionInput) { in.Layers = []string{*own.LayerVersionArn} })
	if out, err := b.invoke("requires", "1"); err != nil || string(out.Payload) != `"the author"` || asked.Load() != 0 {
		t.Errorf("%s %v, asked %d times", out.Payload, err, asked.Load())
	}
	for _, name := range []string{"one", "two"} {
		b.create(name, importsSDK)
		if out, err := b.invoke(name, "1"); err != nil || string(out.Payload) != `"the runtime"` || asked.Load() != 1 {
			t.Errorf("%s: %s %v, asked %d times", name, out.Payload, err, asked.Load())
		}
	}
}

func TestWithoutAnSDKFunctionsRunAndItIsAskedForOnce(t *testing.T) {
	var asked atomic.Int32
	b := newBench(t, func(_ *Config, d *Deps) {
		d.SDK = func(context.Context, string) ([]byte, error) { asked.Add(1); return nil, errors.New("no network") }
	})
	for _, name := range []string{"one", "two"} {
		b.create(name, importsSDK)
		if out, err := b.invoke(name, "1"); err != nil || string(out.Payload) != `"No module named 'boto3'"` || asked.Load() != 1 {
			t.Errorf("%s: %s %v, asked %d times", name, out.Payload, err, asked.Load())
		}
	}
}
