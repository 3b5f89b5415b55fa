// Package client is for programs that enqueue requests and consume results: the
// stories' end of the two queues.
//
// A program opens a [Client], sends requests and handles results:
//
//	cfg, err := config.LoadDefaultConfig(ctx) // the AWS SDK's
//	c, err := client.Open(ctx, cfg, client.Options{Prefix: "scriptfleet", Bucket: "acme-scriptfleet"})
//	errs := c.Send(ctx, requests...)
//	err = c.Consume(ctx, handle)
//
// # What it keeps
//
//   - Send fills calls of SQS: up to ten requests and 1 MiB each. A body that is
//     larger than its queue takes travels through the bucket, in the format of
//     the SQS Extended Clients.
//   - Sending a request again is safe. Tenant, source and id are the identity of
//     a run, so the same three are one run with one result.
//   - A result is deleted after it was handled, and not before. SQS or a crash
//     may therefore deliver it twice. Both copies have the same ID: see [Once].
//
// # Permissions
//
// sqs:GetQueueUrl, GetQueueAttributes and SendMessage on the requests queue;
// GetQueueUrl, GetQueueAttributes, ReceiveMessage, DeleteMessage and
// ChangeMessageVisibility on the results queue. With a bucket also s3:PutObject
// on <prefix>/requests/*, s3:GetObject on <prefix>/results/* and s3:ListBucket.
package client
