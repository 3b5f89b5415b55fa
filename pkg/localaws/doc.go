// Package localaws is the embedded stack: SQS, Lambda, STS and S3 on one
// loopback port, Redis on another, reached over the network exactly as AWS is.
//
// What must hold:
//   - Both addresses are loopback addresses; any other is refused.
//   - Every call is signed by a key of this stack, and does only what the
//     policies of that key allow. Redis asks for a password. Key and password
//     are random, so a script that runs here finds neither.
//   - With a data folder, accepted messages, functions, objects and the
//     credentials outlive the process, however it ends; what Redis held does
//     not, and need not (it is a helper, never the truth).
//   - Close ends every goroutine and process that Start began.
//
// README.md lists what differs from AWS.
//
// Which service a request is for is said by the scope of its signature.
//
// Clients: the SDKs and the AWS CLI take the endpoint from Env. Version 1 of
// the CLI does so for every service but SQS, where it wants --endpoint-url. Of
// boto3's presigned links only those of signature_version s3v4 are honoured.
//
// In the data folder: credentials.json, stack.db (queues, functions),
// objects.db (S3) and lambda/.
package localaws
