package sqs

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.uber.org/zap"
)

type receiveIn struct {
	QueueUrl                    string //nolint:revive // the protocol's name
	MaxNumberOfMessages         *int
	VisibilityTimeout           *int
	WaitTimeSeconds             *int
	AttributeNames              []string // the older name of MessageSystemAttributeNames
	MessageSystemAttributeNames []string
	MessageAttributeNames       []string
}

type messageOut struct {
	MessageId         string //nolint:revive // the protocol's name
	ReceiptHandle     string
	BodyMD5           string `json:"MD5OfBody"`
	Body              string
	Attributes        map[string]string    `json:",omitempty"`
	AttributesMD5     string               `json:"MD5OfMessageAttributes,omitempty"`
	MessageAttributes map[string]attribute `json:",omitempty"`
}

type receiveOut struct {
	Messages []messageOut `json:",omitempty"`
}

func (s *Server) receiveMessage(c *call) (any, error) {
	var in receiveIn
	if err := c.decode(&in); err != nil {
		return nil, err
	}
	q, err := s.find(c, in.QueueUrl, "sqs:ReceiveMessage")
	if err != nil {
		return nil, err
	}
	most, visibility, wait, err := q.terms(&in)
	if err != nil {
		return nil, err
	}
	return s.receive(c, q, &in, most, visibility, wait), nil
}

// receive polls until it has a message or the wait is over. If a receive finds
// only dead letters, it moves them and goes on waiting.
func (s *Server) receive(c *call, q *queue, in *receiveIn, most int, visibility, wait time.Duration) receiveOut {
	deadline := time.Now().Add(wait)
	for {
		got, dead := q.receive(c.ctx, most, visibility, time.Until(deadline))
		s.bury(q, dead)
		if len(got) > 0 || len(dead) == 0 {
			return in.show(got)
		}
	}
}

// terms are the parameters of the call, or else the queue's settings.
func (q *queue) terms(in *receiveIn) (most int, visibility, wait time.Duration, err error) {
	q.mu.Lock()
	set := q.set
	q.mu.Unlock()
	most, visibility, wait = 1, set.visibility, set.wait
	if in.MaxNumberOfMessages != nil {
		if most = *in.MaxNumberOfMessages; most < 1 || most > maxBatch {
			return 0, 0, 0, invalidValue(strconv.Itoa(most), "MaxNumberOfMessages", "Must be between 1 and 10, if provided.")
		}
	}
	if in.VisibilityTimeout != nil {
		if visibility, err = seconds("VisibilityTimeout", *in.VisibilityTimeout, maxVisibility); err != nil {
			return 0, 0, 0, err
		}
	}
	if in.WaitTimeSeconds != nil {
		if wait, err = seconds("WaitTimeSeconds", *in.WaitTimeSeconds, 20*time.Second); err != nil {
			return 0, 0, 0, err
		}
	}
	return most, visibility, wait, nil
}

func seconds(parameter string, n int, most time.Duration) (time.Duration, error) {
	d := time.Duration(n) * time.Second
	if n < 0 || d > most {
		return 0, invalidValue(strconv.Itoa(n), parameter, fmt.Sprintf("Must be >= 0 and <= %d, if provided.", int(most/time.Second)))
	}
	return d, nil
}

func (in *receiveIn) show(got []received) receiveOut {
	wanted := slices.Concat(in.AttributeNames, in.MessageSystemAttributeNames)
	out := receiveOut{Messages: make([]messageOut, len(got))}
	for i, m := range got {
		attributes := chosen(m.Attributes, in.MessageAttributeNames)
		out.Messages[i] = messageOut{
			MessageId: m.ID, ReceiptHandle: m.handle, BodyMD5: m.BodyMD5, Body: m.Body,
			Attributes: m.system(wanted), AttributesMD5: attributesMD5(attributes), MessageAttributes: attributes,
		}
	}
	return out
}

// system are the requested system attributes.
func (m received) system(wanted []string) map[string]string {
	if len(wanted) == 0 {
		return nil
	}
	all := slices.Contains(wanted, "All")
	out := map[string]string{}
	add := func(name, value string) {
		if value != "" && (all || slices.Contains(wanted, name)) {
			out[name] = value
		}
	}
	add("SenderId", m.Sender)
	add("SentTimestamp", strconv.FormatInt(m.SentAt.UnixMilli(), 10))
	add("ApproximateReceiveCount", strconv.Itoa(m.receives))
	add("ApproximateFirstReceiveTimestamp", strconv.FormatInt(m.firstAt.UnixMilli(), 10))
	add("MessageGroupId", m.Group)
	add("MessageDeduplicationId", m.DedupID)
	add("AWSTraceHeader", m.Trace)
	add("DeadLetterQueueSourceArn", m.DeadFrom)
	return out
}

// chosen are the requested message attributes: by name, by prefix (bar.*), or
// all (All or .*).
func chosen(attributes map[string]attribute, wanted []string) map[string]attribute {
	if len(attributes) == 0 || len(wanted) == 0 {
		return nil
	}
	out := map[string]attribute{}
	for name, a := range attributes {
		for _, w := range wanted {
			prefix, isPrefix := strings.CutSuffix(w, "*")
			prefix = strings.TrimSuffix(prefix, ".")
			if w == "All" || w == name || (isPrefix && strings.HasPrefix(name, prefix)) {
				out[name] = a
			}
		}
	}
	return out
}

// bury moves messages that were received too often to the dead-letter queue, in
// one commit. If that queue does not exist, they stay where they are.
func (s *Server) bury(from *queue, dead []*message) {
	if len(dead) == 0 {
		return
	}
	from.mu.Lock()
	policy := from.set.redrive
	from.mu.Unlock()
	var to *queue
	err := error(noQueue)
	if policy != nil {
		to, err = s.byARN(policy.target)
	}
	if err == nil {
		err = move(from, to, dead)
	}
	if err != nil {
		s.log.Error("dead letters stay on their queue", zap.String("queue", from.name), zap.Int("messages", len(dead)), zap.Error(err))
		from.putBack(dead)
	}
}

func move(from, to *queue, dead []*message) error {
	moved := make([]*message, len(dead))
	for i, m := range dead {
		moved[i] = &message{
			ID: m.ID, Body: m.Body, BodyMD5: m.BodyMD5, Attributes: m.Attributes, Group: m.Group, DedupID: m.DedupID,
			Trace: m.Trace, Sender: m.Sender, DeadFrom: from.arn, SentAt: m.SentAt,
		}
	}
	changes := to.puts(moved)
	if from.store != nil {
		for _, m := range dead {
			changes = append(changes, change{queue: from.name, drop: m.seq})
		}
	}
	if err := from.store.commit(changes...); err != nil {
		return err
	}
	to.arrive(moved)
	return nil
}

// putBack returns dead letters that could not be moved; they may be received
// once more before the next attempt.
func (q *queue) putBack(ms []*message) {
	q.mu.Lock()
	defer q.mu.Unlock()
	now := time.Now()
	for _, m := range ms {
		m.receives--
		q.engine.add(now, m)
	}
	q.wake()
}
