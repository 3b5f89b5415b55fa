package sqs

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

// settings are a queue's attributes, parsed for the engine.
type settings struct {
	visibility time.Duration
	delay      time.Duration
	wait       time.Duration
	retention  time.Duration
	maxBytes   int
	redrive    *redrive
}

type redrive struct {
	target string // ARN of the dead-letter queue
	max    int
}

func (s settings) maxReceives() int {
	if s.redrive == nil {
		return 0
	}
	return s.redrive.max
}

// number is a numeric attribute with its bounds.
type number struct {
	standard, least, most int
}

var numbers = map[string]number{
	"VisibilityTimeout":             {30, 0, 43_200},
	"DelaySeconds":                  {0, 0, 900},
	"ReceiveMessageWaitTimeSeconds": {0, 0, 20},
	"MessageRetentionPeriod":        {345_600, 60, 1_209_600},
	"MaximumMessageSize":            {maxMessageBytes, 1024, maxMessageBytes},
	"KmsDataKeyReusePeriodSeconds":  {300, 60, 86_400},
}

// kept are attributes that are stored and returned, but have no effect here.
var kept = []string{"Policy", "RedriveAllowPolicy", "KmsMasterKeyId", "SqsManagedSseEnabled"}

// computed are attributes that the queue computes and that cannot be set.
var computed = []string{
	"QueueArn", "CreatedTimestamp", "LastModifiedTimestamp", "ApproximateNumberOfMessages",
	"ApproximateNumberOfMessagesNotVisible", "ApproximateNumberOfMessagesDelayed",
}

// parseSettings validates attributes of CreateQueue and SetQueueAttributes. A
// missing attribute has SQS's default.
func parseSettings(attributes map[string]string) (settings, error) {
	values := map[string]int{}
	for name, n := range numbers {
		values[name] = n.standard
	}
	for _, name := range slices.Sorted(maps.Keys(attributes)) {
		if err := parseAttribute(name, attributes[name], values); err != nil {
			return settings{}, err
		}
	}
	seconds := func(name string) time.Duration { return time.Duration(values[name]) * time.Second }
	s := settings{
		visibility: seconds("VisibilityTimeout"), delay: seconds("DelaySeconds"),
		wait: seconds("ReceiveMessageWaitTimeSeconds"), retention: seconds("MessageRetentionPeriod"),
		maxBytes: values["MaximumMessageSize"],
	}
	var err error
	s.redrive, err = parseRedrive(attributes["RedrivePolicy"])
	return s, err
}

func parseAttribute(name, value string, values map[string]int) error {
	if n, ok := numbers[name]; ok {
		v, err := strconv.Atoi(value)
		if err != nil || v < n.least || v > n.most {
			return invalidValue(value, name, fmt.Sprintf("Must be an integer between %d and %d.", n.least, n.most))
		}
		values[name] = v
		return nil
	}
	switch {
	case name == "FifoQueue" && value != "false", name == "ContentBasedDeduplication":
		return &apiError{"InvalidAttributeName", 400, "FIFO queues are not offered by the embedded stack"}
	case name == "FifoQueue" || name == "RedrivePolicy" || slices.Contains(kept, name):
		return nil
	}
	return &apiError{"InvalidAttributeName", 400, "Unknown Attribute " + name + "."}
}

// parseRedrive parses a RedrivePolicy. Like AWS, it accepts maxReceiveCount as
// a number and as a string.
func parseRedrive(text string) (*redrive, error) {
	if text == "" {
		return nil, nil
	}
	var p struct {
		Target string          `json:"deadLetterTargetArn"`
		Max    json.RawMessage `json:"maxReceiveCount"`
	}
	if err := json.Unmarshal([]byte(text), &p); err != nil {
		return nil, invalidValue(text, "RedrivePolicy", "Redrive policy is not a valid JSON map.")
	}
	most, err := strconv.Atoi(strings.Trim(string(p.Max), `"`))
	if err != nil || most < 1 || most > 1000 {
		return nil, invalidValue(text, "RedrivePolicy", "Invalid value for maxReceiveCount: must be between 1 and 1000.")
	}
	if p.Target == "" {
		return nil, invalidValue(text, "RedrivePolicy", "Redrive policy does not contain mandatory attribute: deadLetterTargetArn.")
	}
	return &redrive{target: p.Target, max: most}, nil
}

// conflict returns an attribute of want to which the queue has another value.
func (q *queue) conflict(want map[string]string) (string, bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, name := range slices.Sorted(maps.Keys(want)) {
		if q.settable(name) != want[name] {
			return name, true
		}
	}
	return "", false
}

// settable is the value of an attribute that can be set.
func (q *queue) settable(name string) string {
	if v, ok := q.record.Attributes[name]; ok {
		return v
	}
	if n, ok := numbers[name]; ok && name != "KmsDataKeyReusePeriodSeconds" {
		return strconv.Itoa(n.standard)
	}
	return ""
}

// attributes is the answer of GetQueueAttributes.
func (q *queue) attributes(names []string) (map[string]string, error) {
	all := q.allAttributes()
	if slices.Contains(names, "All") {
		return all, nil
	}
	out := map[string]string{}
	for _, name := range names {
		_, isNumber := numbers[name]
		v, ok := all[name]
		switch {
		case ok:
			out[name] = v
		case !isNumber && name != "RedrivePolicy" && name != "FifoQueue" && !slices.Contains(kept, name) && !slices.Contains(computed, name):
			return nil, &apiError{"InvalidAttributeName", 400, "Unknown Attribute " + name + "."}
		}
	}
	return out, nil
}

func (q *queue) allAttributes() map[string]string {
	s := q.stats()
	q.mu.Lock()
	defer q.mu.Unlock()
	all := map[string]string{
		"QueueArn":                              q.arn,
		"CreatedTimestamp":                      strconv.FormatInt(q.record.Created.Unix(), 10),
		"LastModifiedTimestamp":                 strconv.FormatInt(q.record.Modified.Unix(), 10),
		"ApproximateNumberOfMessages":           strconv.Itoa(s.Visible),
		"ApproximateNumberOfMessagesNotVisible": strconv.Itoa(s.InFlight),
		"ApproximateNumberOfMessagesDelayed":    strconv.Itoa(s.Delayed),
	}
	for name := range numbers {
		if v := q.settable(name); v != "" {
			all[name] = v
		}
	}
	for name, v := range q.record.Attributes {
		if v != "" && name != "FifoQueue" {
			all[name] = v
		}
	}
	return all
}

// setAttributes changes a queue's attributes. A new retention and redrive
// policy also apply to existing messages.
func (q *queue) setAttributes(change map[string]string) (queueRecord, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	merged := maps.Clone(q.record.Attributes)
	if merged == nil {
		merged = map[string]string{}
	}
	maps.Copy(merged, change)
	set, err := parseSettings(merged)
	if err != nil {
		return queueRecord{}, err
	}
	q.set = set
	q.record.Attributes, q.record.Modified = merged, time.Now()
	q.engine.retention, q.engine.burial = set.retention, set.maxReceives()
	return q.record, nil
}
