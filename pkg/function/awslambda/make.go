package awslambda

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"

	"github.com/scriptfleet/scriptfleet/pkg/function"
)

// architectures returns nil for an empty arch: Lambda then takes its default,
// x86_64.
func architectures(arch string) []types.Architecture {
	if arch == "" {
		return nil
	}
	return []types.Architecture{types.Architecture(arch)}
}

// FindLayer returns the ARN of the layer's newest version. It asks for one
// version only.
func (f *Functions) FindLayer(ctx context.Context, name string) (string, error) {
	ctx, sent := traced(ctx)
	out, err := f.Lambda.ListLayerVersions(ctx, &lambda.ListLayerVersionsInput{LayerName: &name, MaxItems: aws.Int32(1)})
	if err != nil {
		return "", f.fail(err, "ListLayerVersions", name, sent)
	}
	if len(out.LayerVersions) == 0 {
		return "", &function.Error{Class: function.NotFound, Op: "ListLayerVersions", Name: name, Reason: "NoVersions", Err: errors.New("the layer has no version")}
	}
	return aws.ToString(out.LayerVersions[0].LayerVersionArn), nil
}

// PublishLayer sends the zip in the call, or uploads it first where it is
// larger than function.MaxZipBytes.
func (f *Functions) PublishLayer(ctx context.Context, l function.LayerSpec) (string, error) {
	content := &types.LayerVersionContentInput{ZipFile: l.Zip}
	if len(l.Zip) > function.MaxZipBytes {
		bucket, key, err := f.upload(ctx, l)
		if err != nil {
			return "", err
		}
		content = &types.LayerVersionContentInput{S3Bucket: &bucket, S3Key: &key}
	}
	ctx, sent := traced(ctx)
	out, err := f.Lambda.PublishLayerVersion(ctx, &lambda.PublishLayerVersionInput{
		LayerName:               &l.Name,
		Content:                 content,
		Description:             optional(l.Description),
		CompatibleRuntimes:      []types.Runtime{types.Runtime(l.Runtime)},
		CompatibleArchitectures: architectures(l.Arch),
	})
	if err != nil {
		return "", f.fail(err, "PublishLayerVersion", l.Name, sent)
	}
	return aws.ToString(out.LayerVersionArn), nil
}

func (f *Functions) upload(ctx context.Context, l function.LayerSpec) (bucket, key string, err error) {
	if f.Uploads == nil {
		return "", "", &function.Error{Class: function.Operator, Op: "Upload", Name: l.Name, Reason: "NoBucket",
			Err: errors.New("the layer is over 50 MB and no bucket is configured to upload it to")}
	}
	bucket, key, err = f.Uploads.Upload(ctx, "layers/"+l.Name+".zip", l.Zip)
	if err != nil {
		// The upload made no layer, and uploading again is harmless.
		return "", "", &function.Error{Class: function.Unsent, Op: "Upload", Name: l.Name, Reason: "UploadFailed", Err: err}
	}
	return bucket, key, nil
}

// Create makes the function. The function is Pending for a while after it: see
// Await.
func (f *Functions) Create(ctx context.Context, s function.Spec) error {
	ctx, sent := traced(ctx)
	_, err := f.Lambda.CreateFunction(ctx, &lambda.CreateFunctionInput{
		FunctionName:  &s.Name,
		Runtime:       types.Runtime(s.Runtime),
		Handler:       &s.Handler,
		Code:          &types.FunctionCode{ZipFile: s.Code},
		Layers:        s.LayerARNs,
		Timeout:       aws.Int32(int32(s.TimeoutSeconds)),
		MemorySize:    aws.Int32(int32(s.MemoryMB)),
		Role:          &s.RoleARN,
		Description:   optional(s.Description),
		Architectures: architectures(s.Arch),
		PackageType:   types.PackageTypeZip,
		Tags:          s.Tags,
	})
	if err != nil {
		return f.fail(err, "CreateFunction", s.Name, sent)
	}
	return nil
}

// Await polls at once, because the embedded stack is ready by then, and at
// least every 2 s. GetFunction has a limit of its own: 100 calls a second.
const (
	firstPoll    = 5 * time.Millisecond
	longestPoll  = 2 * time.Second
	failingPolls = 5
)

// Await polls GetFunction. An Inactive function counts as ready: only an
// invocation wakes it, and that invocation fails with NotReady.
func (f *Functions) Await(ctx context.Context, name string) error {
	failed := 0
	for delay := firstPoll; ; delay = min(2*delay, longestPoll) {
		ready, err := f.poll(ctx, name)
		if ready {
			return nil
		}
		if err != nil {
			failed++
			if ctx.Err() != nil || failed == failingPolls || !passes(function.ClassOf(err)) {
				return err
			}
		}
		select {
		case <-time.After(delay):
		case <-ctx.Done():
			return &function.Error{Class: function.NotReady, Op: "GetFunction", Name: name, Reason: "StillPending", Err: context.Cause(ctx)}
		}
	}
}

// passes tells whether Await goes on polling after a failure of the class.
func passes(c function.Class) bool {
	return c == function.Throttled || c == function.Ambiguous || c == function.Unsent || c == function.BadSignature
}

func (f *Functions) poll(ctx context.Context, name string) (ready bool, err error) {
	ctx, sent := traced(ctx)
	out, err := f.Lambda.GetFunction(ctx, &lambda.GetFunctionInput{FunctionName: &name})
	if err != nil {
		return false, f.fail(err, "GetFunction", name, sent)
	}
	c := out.Configuration
	switch {
	case c == nil || c.State == types.StatePending:
		return false, nil
	case c.State == types.StateFailed:
		return false, &function.Error{Class: function.BadState, Op: "GetFunction", Name: name,
			Reason: string(c.StateReasonCode), Err: errors.New(aws.ToString(c.StateReason))}
	default:
		return true, nil
	}
}

// Delete removes the function.
func (f *Functions) Delete(ctx context.Context, name string) error {
	ctx, sent := traced(ctx)
	if _, err := f.Lambda.DeleteFunction(ctx, &lambda.DeleteFunctionInput{FunctionName: &name}); err != nil {
		return f.fail(err, "DeleteFunction", name, sent)
	}
	return nil
}

// List reads every page, one call each. Info.State is empty: Lambda's list
// leaves it out.
func (f *Functions) List(ctx context.Context) ([]function.Info, error) {
	var infos []function.Info
	pages := lambda.NewListFunctionsPaginator(f.Lambda, &lambda.ListFunctionsInput{})
	for pages.HasMorePages() {
		ctx, sent := traced(ctx)
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, f.fail(err, "ListFunctions", f.cfg.NamePrefix, sent)
		}
		for _, c := range page.Functions {
			if strings.HasPrefix(aws.ToString(c.FunctionName), f.cfg.NamePrefix) {
				infos = append(infos, info(c))
			}
		}
	}
	return infos, nil
}

// modifiedLayout parses LastModified, such as 2026-11-23T09:00:00.000+0000.
const modifiedLayout = "2006-01-02T15:04:05.999-0700"

func info(c types.FunctionConfiguration) function.Info {
	modified, _ := time.Parse(modifiedLayout, aws.ToString(c.LastModified))
	return function.Info{
		Name:         aws.ToString(c.FunctionName),
		Runtime:      string(c.Runtime),
		State:        string(c.State),
		Description:  aws.ToString(c.Description),
		CodeBytes:    c.CodeSize,
		LastModified: modified,
	}
}

func optional(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}
