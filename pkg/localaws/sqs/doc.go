// Package sqs is the embedded stack's SQS: standard queues over HTTP, with the
// protocol of the AWS SDK (AWS JSON 1.0).
//
// A request passes three layers. Each uses only the next one:
//
//	Server  HTTP: one operation per file, AWS's limits and errors
//	queue   one queue: a mutex, the waiting polls, the durable changes
//	engine  the rules of a queue: pure, with the time as an argument
//
// What must hold:
//   - Once SendMessage has answered, the message is delivered until it is
//     deleted, its retention ends or it is moved to the dead-letter queue. With a
//     database SendMessage answers after the commit, so kill -9 loses nothing;
//     concurrent calls share a commit. Deletes are durable as well. After a
//     restart all messages in flight are visible again.
//   - A message is never in two deliveries at once. A receipt handle names one
//     delivery. While that is the newest delivery of its message, the handle can
//     delete the message or change its visibility, also after the visibility
//     timeout and after a restart. From the next receive on the handle is
//     ReceiptHandleIsInvalid. (AWS answers DeleteMessage with an old handle with
//     success and may not delete; an error is more useful to a test.) Deleting a
//     deleted message succeeds.
//   - The limit of 12 hours of visibility counts from the handle's receive.
//   - The time of every operation is independent of the number of messages and
//     groups of a queue (at most logarithmic), except for loading, purging and
//     deleting it.
//
// Order: oldest first, subject to fairness. A message that was put back
// (ChangeMessageVisibility to an earlier time) goes behind all that wait, so
// that one consumer does not receive it over and over. A message whose
// visibility timeout expired goes before them: its consumer died, and it has
// waited long enough.
//
// Dead letters keep their id, body, attributes, group and send time; the
// dead-letter queue's retention counts from that send time. Their receive count
// starts at zero again.
//
// Fair queues: see fair.go. Faults, for tests: see faults.go.
//
// Not supported: FIFO queues, KMS, permissions by queue policy (Policy is
// stored and has no effect), StartMessageMoveTask.
package sqs
