package sqs

import (
	"fmt"
	"regexp"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"
)

const (
	maxMessageBytes = 1 << 20 // limit of a message, and of a batch together
	maxBatch        = 10
	maxAttributes   = 10
	maxDelay        = 15 * time.Minute
)

type sendIn struct {
	ID                      string `json:"Id"` // in a batch
	QueueUrl                string //nolint:revive // the protocol's name
	MessageBody             *string
	DelaySeconds            *int
	MessageAttributes       map[string]attribute
	MessageSystemAttributes map[string]attribute
	MessageGroupId          *string //nolint:revive // the protocol's name
	MessageDeduplicationId  string  //nolint:revive // the protocol's name
}

type sendOut struct {
	ID            string `json:"Id,omitempty"`
	MessageId     string //nolint:revive // the protocol's name
	BodyMD5       string `json:"MD5OfMessageBody"`
	AttributesMD5 string `json:"MD5OfMessageAttributes,omitempty"`
	SystemMD5     string `json:"MD5OfMessageSystemAttributes,omitempty"`
}

func (s *Server) sendMessage(c *call) (any, error) {
	var in sendIn
	if err := c.decode(&in); err != nil {
		return nil, err
	}
	q, err := s.find(c, in.QueueUrl, "sqs:SendMessage")
	if err != nil {
		return nil, err
	}
	m, err := q.compose(&in, c.id.UserID)
	if err != nil {
		return nil, err
	}
	if err := q.send([]*message{m}); err != nil {
		return nil, err
	}
	return sent(&in, m), nil
}

func (s *Server) sendMessageBatch(c *call) (any, error) {
	var in struct {
		QueueUrl string //nolint:revive // the protocol's name
		Entries  []sendIn
	}
	if err := c.decode(&in); err != nil {
		return nil, err
	}
	q, err := s.find(c, in.QueueUrl, "sqs:SendMessage")
	if err != nil {
		return nil, err
	}
	if err := checkBatch(in.Entries, func(e sendIn) string { return e.ID }); err != nil {
		return nil, err
	}
	total := 0
	for _, e := range in.Entries {
		if e.MessageBody != nil {
			total += sizeOf(*e.MessageBody, e.MessageAttributes)
		}
	}
	if total > maxMessageBytes {
		return nil, &apiError{"BatchRequestTooLong", 400, fmt.Sprintf("Batch requests cannot be longer than %d bytes. You have sent %d bytes.", maxMessageBytes, total)}
	}
	return q.sendBatch(in.Entries, c.id.UserID)
}

type batchOut[T any] struct {
	Successful []T
	Failed     []failedEntry `json:",omitempty"`
}

type failedEntry struct {
	ID          string `json:"Id"`
	SenderFault bool
	Code        string
	Message     string
}

func failed(id string, e *apiError) failedEntry {
	return failedEntry{ID: id, SenderFault: e.status < 500, Code: e.queryName(), Message: e.message}
}

// sendBatch sends the valid entries; those of one call are committed together.
func (q *queue) sendBatch(entries []sendIn, sender string) (any, error) {
	out := batchOut[sendOut]{Successful: []sendOut{}}
	var ms []*message
	for i := range entries {
		e := &entries[i]
		m, err := q.compose(e, sender)
		if err == nil && hit(q.faults, Entries, "SendMessage", q.name) {
			err = entryFault
		}
		if err != nil {
			out.Failed = append(out.Failed, failed(e.ID, asAPIError(err)))
			continue
		}
		ms = append(ms, m)
		out.Successful = append(out.Successful, sent(e, m))
	}
	if len(ms) == 0 {
		return out, nil
	}
	return out, q.send(ms)
}

func sent(in *sendIn, m *message) sendOut {
	return sendOut{
		ID: in.ID, MessageId: m.ID, BodyMD5: m.BodyMD5,
		AttributesMD5: attributesMD5(in.MessageAttributes), SystemMD5: attributesMD5(in.MessageSystemAttributes),
	}
}

// compose validates an entry and makes a message of it.
func (q *queue) compose(in *sendIn, sender string) (*message, error) {
	q.mu.Lock()
	set := q.set
	q.mu.Unlock()
	if err := checkEntry(in, set.maxBytes); err != nil {
		return nil, err
	}
	now := time.Now()
	m := &message{
		ID: uuid.NewString(), Body: *in.MessageBody, BodyMD5: md5Hex(*in.MessageBody),
		Attributes: in.MessageAttributes, DedupID: in.MessageDeduplicationId,
		Trace: string(in.MessageSystemAttributes["AWSTraceHeader"].value()), Sender: sender, SentAt: now,
	}
	if in.MessageGroupId != nil {
		m.Group = *in.MessageGroupId
	}
	delay := set.delay
	if in.DelaySeconds != nil {
		delay = time.Duration(*in.DelaySeconds) * time.Second
	}
	if delay > 0 {
		m.DelayedTo = now.Add(delay)
	}
	return m, nil
}

func checkEntry(in *sendIn, maxBytes int) error {
	if in.MessageBody == nil {
		return missing("MessageBody")
	}
	if *in.MessageBody == "" {
		return invalidValue("", "MessageBody", "Must not be empty.")
	}
	if at, ok := badCharacter(*in.MessageBody); ok {
		return &apiError{"InvalidMessageContents", 400, fmt.Sprintf("Invalid binary character '#x%X' was found in the message body, the set of allowed characters is #x9 | #xA | #xD | #x20 to #xD7FF | #xE000 to #xFFFD | #x10000 to #x10FFFF", at)}
	}
	if err := checkAttributes(in.MessageAttributes); err != nil {
		return err
	}
	for name := range in.MessageSystemAttributes {
		if name != "AWSTraceHeader" {
			return invalidValue(name, "MessageSystemAttributes", "Message system attribute name must be AWSTraceHeader.")
		}
	}
	if size := sizeOf(*in.MessageBody, in.MessageAttributes); size > maxBytes {
		return &apiError{"InvalidParameterValue", 400, fmt.Sprintf("One or more parameters are invalid. Reason: Message must be shorter than %d bytes.", maxBytes)}
	}
	if in.DelaySeconds != nil {
		if d := time.Duration(*in.DelaySeconds) * time.Second; d < 0 || d > maxDelay {
			return invalidValue(fmt.Sprint(*in.DelaySeconds), "DelaySeconds", "DelaySeconds must be >= 0 and <= 900.")
		}
	}
	if in.MessageGroupId != nil && !groupName(*in.MessageGroupId) {
		return invalidValue(*in.MessageGroupId, "MessageGroupId", "MessageGroupId can only include alphanumeric and punctuation characters. 1 to 128 in length.")
	}
	return nil
}

// badCharacter returns a character that SQS does not accept.
func badCharacter(s string) (rune, bool) {
	for _, r := range s {
		switch {
		case r == '\t' || r == '\n' || r == '\r':
		case r < 0x20 || r == 0xFFFE || r == 0xFFFF:
			return r, true
		}
	}
	return 0, false
}

func groupName(s string) bool {
	if s == "" || len(s) > 128 {
		return false
	}
	for i := range len(s) {
		if s[i] <= ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}

var attributeName = regexp.MustCompile(`^[A-Za-z0-9_.-]{1,256}$`)

func checkAttributes(attributes map[string]attribute) error {
	if len(attributes) > maxAttributes {
		return &apiError{"InvalidParameterValue", 400, fmt.Sprintf("Number of message attributes [%d] exceeds the allowed maximum [%d].", len(attributes), maxAttributes)}
	}
	for name, a := range attributes {
		lower := strings.ToLower(name)
		if !attributeName.MatchString(name) || strings.HasPrefix(lower, "aws.") || strings.HasPrefix(lower, "amazon.") {
			return invalidValue(name, "MessageAttributes", "The message attribute name is not allowed.")
		}
		kind, _, _ := strings.Cut(a.DataType, ".")
		if kind != "String" && kind != "Number" && kind != "Binary" {
			return invalidValue(a.DataType, "MessageAttributes", fmt.Sprintf("The type of message (user) attribute '%s' must be String, Number or Binary.", name))
		}
		if len(a.value()) == 0 {
			return &apiError{"InvalidParameterValue", 400, fmt.Sprintf("Message (user) attribute '%s' must contain a non-empty value of type '%s'.", name, kind)}
		}
		if kind != "Binary" && !utf8.Valid(a.value()) {
			return invalidValue(name, "MessageAttributes", "The value is not UTF-8.")
		}
	}
	return nil
}

var entryID = regexp.MustCompile(`^[A-Za-z0-9_-]{1,80}$`)

// checkBatch enforces the limits of all batches.
func checkBatch[T any](entries []T, id func(T) string) error {
	switch {
	case len(entries) == 0:
		return &apiError{"EmptyBatchRequest", 400, "There should be at least one entry in the request."}
	case len(entries) > maxBatch:
		return &apiError{"TooManyEntriesInBatchRequest", 400, fmt.Sprintf("Maximum number of entries per request are %d. You have sent %d.", maxBatch, len(entries))}
	}
	seen := make(map[string]bool, len(entries))
	for _, e := range entries {
		switch {
		case !entryID.MatchString(id(e)):
			return &apiError{"InvalidBatchEntryId", 400, "A batch entry id can only contain alphanumeric characters, hyphens and underscores. It can be at most 80 letters long."}
		case seen[id(e)]:
			return &apiError{"BatchEntryIdsNotDistinct", 400, "Id " + id(e) + " repeated."}
		}
		seen[id(e)] = true
	}
	return nil
}
