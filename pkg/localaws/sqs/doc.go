// Package sqs is the embedded stack's SQS: standard queues, as the AWS SDK
// speaks to them over HTTP (AWS JSON 1.0).
//
// A request passes through three layers, each of which knows nothing of the
// one above:
//
//	Server  HTTP: one operation a file, limits and errors as AWS has them
//	queue   one queue: a mutex, the polls that wait, what has to be durable
//	engine  what a queue is: pure, with the time as an argument
//
// What must hold:
//   - Once SendMessage has answered, the message is delivered until somebody
//     deletes it, its retention ends or it is moved to the dead-letter queue.
//     With a database it answers only after the commit, so kill -9 loses
//     nothing; concurrent calls share a commit. Deletes are durable as well.
//     After a restart what was in flight is visible again.
//   - A message is never in two deliveries at once. A receipt handle names one
//     delivery: while it is the newest one of its message it settles the
//     message (even after its visibility ran out, and after a restart), and
//     from the next receive on it is ReceiptHandleIsInvalid. AWS answers
//     DeleteMessage with an old handle with success and may not delete; to say
//     so is more use to a test. Deleting what is deleted succeeds.
//   - 12 hours of visibility count from the receive that the handle is of.
//   - Nothing in here takes time in proportion to the messages or groups of a
//     queue, except loading, purging and deleting it.
//
// Order: oldest first, as far as fairness allows. What was put back
// (ChangeMessageVisibility to an earlier end) goes behind what waits, so that
// it comes round and nobody spins on it. A message whose visibility ran out
// goes before it: its consumer died, and it has waited long enough.
//
// Dead letters keep their id, body, attributes, group and the time when they
// were sent, from which the dead-letter queue's retention counts; their
// receives count anew.
//
// Fair queues: see fair.go. Faults, for tests: see faults.go.
//
// Not offered: FIFO queues, KMS, permissions by queue policy (Policy is kept
// and not applied), StartMessageMoveTask.
package sqs
