// Package localaws is the embedded stack: SQS, Lambda, STS and S3 on one
// loopback port, Redis on another. Clients reach it over the network as they
// reach AWS.
//
// What must hold:
//   - Both addresses are loopback addresses; any other is refused.
//   - A key of this stack has signed every call, and the key's policies allow
//     it. Redis asks for a password, and its server receives nothing from a
//     client before that. Key and password are random, and a script that runs
//     here can find neither.
//   - With a data folder, accepted messages, functions, objects and the
//     credentials survive the end of the process, also by kill -9. The contents
//     of Redis do not, and need not: Redis is a helper, never the truth.
//   - Close ends every goroutine and process that Start began.
//
// README.md lists the differences from AWS.
//
// The scope of a request's signature names its service.
//
// Clients: the SDKs and the AWS CLI read the endpoint from the variables in
// Env. Version 1 of the CLI does so for every service except SQS, which needs
// --endpoint-url. Of boto3's presigned links only those with signature_version
// s3v4 are accepted.
//
// The data folder contains credentials.json, stack.db (queues, functions),
// objects.db (S3) and lambda/.
package localaws
