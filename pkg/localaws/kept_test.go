package localaws

import (
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"github.com/scriptfleet/scriptfleet/pkg/localaws/auth"
)

// The bound is 100 KiB here for an account, and 150 KiB for all.
func TestWhatAnAccountKeepsIsBounded(t *testing.T) {
	const arn, everything = "arn:aws:iam::222222222222:role/r", `{"Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}`
	stack, err := Start(t.Context(), Config{Partitions: 1, Roles: []Role{{ARN: arn, Policy: everything}, {ARN: strings.Replace(arn, "2:role", "3:role", 1), Policy: everything}}})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = stack.Close(t.Context()) }()
	stack.kept.shares = auth.NewShares(100<<10, 150<<10)
	as := func(arn string) (*s3.Client, *sqs.Client) {
		cfg := stack.AWSConfig()
		cfg.RetryMaxAttempts = 1
		session, err := sts.NewFromConfig(cfg).AssumeRole(t.Context(), &sts.AssumeRoleInput{RoleArn: &arn, RoleSessionName: aws.String("s1")})
		if err != nil {
			t.Fatal(err)
		}
		c := session.Credentials
		cfg.Credentials = credentials.NewStaticCredentialsProvider(*c.AccessKeyId, *c.SecretAccessKey, *c.SessionToken)
		return s3.NewFromConfig(cfg, func(o *s3.Options) { o.UsePathStyle = true }), sqs.NewFromConfig(cfg)
	}
	objects, queues := as(arn)
	bucket := aws.String("reports")
	step := func(what string, wanted bool, err error) {
		t.Helper()
		if (err == nil) != wanted || err != nil && !strings.Contains(err.Error(), "The embedded stack keeps") {
			t.Errorf("%s: %v", what, err)
		}
	}
	put := func(key string, kib int) error {
		_, err := objects.PutObject(t.Context(), &s3.PutObjectInput{Bucket: bucket, Key: &key, Body: strings.NewReader(strings.Repeat("x", kib<<10))})
		return err
	}
	_, err = objects.CreateBucket(t.Context(), &s3.CreateBucketInput{Bucket: bucket})
	step("make a bucket", true, err)
	step("put 40 KiB", true, put("a", 40))
	step("put them again", true, put("a", 40))
	step("put them once more, when only 40 KiB are there", true, put("a", 40))
	step("put 70 KiB beside them", false, put("b", 70))
	_, err = objects.CopyObject(t.Context(), &s3.CopyObjectInput{Bucket: bucket, Key: aws.String("c"), CopySource: aws.String("reports/a")})
	step("copy", true, err)
	_, err = objects.CopyObject(t.Context(), &s3.CopyObjectInput{Bucket: bucket, Key: aws.String("d"), CopySource: aws.String("reports/a")})
	step("copy again", false, err)

	q, err := queues.CreateQueue(t.Context(), &sqs.CreateQueueInput{QueueName: aws.String("q")})
	step("make a queue", true, err)
	send := func() error {
		_, err := queues.SendMessage(t.Context(), &sqs.SendMessageInput{QueueUrl: q.QueueUrl, MessageBody: aws.String(strings.Repeat("x", 30<<10))})
		return err
	}
	step("send 30 KiB", false, send())
	_, err = objects.DeleteObject(t.Context(), &s3.DeleteObjectInput{Bucket: bucket, Key: aws.String("c")})
	step("delete", true, err)
	step("send 30 KiB when there is room", true, send())
	step("send them again", false, send())

	upload, err := objects.CreateMultipartUpload(t.Context(), &s3.CreateMultipartUploadInput{Bucket: bucket, Key: aws.String("e")})
	step("begin an upload", true, err)
	_, err = objects.UploadPart(t.Context(), &s3.UploadPartInput{Bucket: bucket, Key: aws.String("e"), UploadId: upload.UploadId, PartNumber: aws.Int32(1), Body: strings.NewReader(strings.Repeat("x", 20<<10))})
	step("upload 20 KiB", true, err)
	step("put 20 KiB beside the part", false, put("f", 20))
	_, err = objects.AbortMultipartUpload(t.Context(), &s3.AbortMultipartUploadInput{Bucket: bucket, Key: aws.String("e"), UploadId: upload.UploadId})
	step("abort", true, err)
	step("put 20 KiB instead of the part", true, put("f", 20))

	objects, _ = as(strings.Replace(arn, "2:role", "3:role", 1))
	bucket = aws.String("of-three")
	_, err = objects.CreateBucket(t.Context(), &s3.CreateBucketInput{Bucket: bucket})
	step("another account makes a bucket", true, err)
	step("another account puts 40 KiB", true, put("a", 40))
	step("another account puts 40 KiB more, beyond all accounts' bound", false, put("b", 40))
}
