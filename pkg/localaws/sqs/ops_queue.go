package sqs

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"
)

var queueName = regexp.MustCompile(`^[A-Za-z0-9_-]{1,80}$`)

// Plan is a queue to be made by Ensure.
type Plan struct {
	Name       string
	Attributes map[string]string
}

// Ensure makes the missing queues, in the given order and in one commit; a
// dead-letter queue must precede the queues that use it. It does not change
// existing queues.
func (s *Server) Ensure(plans ...Plan) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var changes []change
	for _, p := range plans {
		if s.queues[p.Name] != nil {
			continue
		}
		q, err := s.prepare(p.Name, p.Attributes, nil)
		if err != nil {
			return fmt.Errorf("make queue %s: %w", p.Name, err)
		}
		s.queues[p.Name] = q
		changes = append(changes, change{queue: p.Name, create: &q.record})
	}
	return s.store.commit(changes...)
}

type createQueueIn struct {
	QueueName  string
	Attributes map[string]string
	Tags       map[string]string `json:"tags"`
}

func (s *Server) createQueue(c *call) (any, error) {
	var in createQueueIn
	if err := c.decode(&in); err != nil {
		return nil, err
	}
	name := s.nameOf(c.id.Account(), in.QueueName)
	if err := s.allow(c, "sqs:CreateQueue", name); err != nil {
		return nil, err
	}
	q, err := s.create(name, in.Attributes, in.Tags)
	if err != nil {
		return nil, err
	}
	return map[string]string{"QueueUrl": s.url(c, q.name)}, nil
}

// create makes a queue, or returns the existing one if it has the requested
// attributes.
func (s *Server) create(name string, attributes, tags map[string]string) (*queue, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if q := s.queues[name]; q != nil {
		if _, err := parseSettings(attributes); err != nil {
			return nil, err
		}
		if what, differs := q.conflict(attributes); differs {
			return nil, &apiError{"QueueNameExists", 400, fmt.Sprintf("A queue already exists with the same name and a different value for attribute %s", what)}
		}
		return q, nil
	}
	q, err := s.prepare(name, attributes, tags)
	if err != nil {
		return nil, err
	}
	if err := s.store.commit(change{queue: name, create: &q.record}); err != nil {
		return nil, err
	}
	s.queues[name] = q
	return q, nil
}

// prepare validates a queue's name and attributes and makes it, without adding
// it to the server.
func (s *Server) prepare(name string, attributes, tags map[string]string) (*queue, error) {
	if _, bare := s.split(name); !queueName.MatchString(bare) {
		return nil, invalidValue(bare, "QueueName", "Can only include alphanumeric characters, hyphens, or underscores. 1 to 80 in length")
	}
	set, err := parseSettings(attributes)
	if err != nil {
		return nil, err
	}
	if err := s.checkTarget(set, name); err != nil {
		return nil, err
	}
	now := time.Now()
	record := queueRecord{Attributes: maps.Clone(attributes), Tags: tags, Created: now, Modified: now}
	return s.newQueue(name, record, set), nil
}

// checkTarget refuses a redrive policy whose dead-letter queue does not exist.
func (s *Server) checkTarget(set settings, name string) error {
	if set.redrive == nil {
		return nil
	}
	target := s.ofARN(set.redrive.target)
	of, _ := s.split(target)
	account, _ := s.split(name)
	if s.arn(target) != set.redrive.target || of != account || target == name || s.queues[target] == nil {
		return invalidValue(set.redrive.target, "RedrivePolicy", "Dead letter target does not exist.")
	}
	return nil
}

func (s *Server) url(c *call, name string) string {
	account, bare := s.split(name)
	return "http://" + c.host + "/" + account + "/" + bare
}

type queueIn struct {
	QueueUrl string //nolint:revive // the protocol's name
}

func (s *Server) getQueueURL(c *call) (any, error) {
	var in struct {
		QueueName              string
		QueueOwnerAWSAccountID string `json:"QueueOwnerAWSAccountId"`
	}
	if err := c.decode(&in); err != nil {
		return nil, err
	}
	owner := in.QueueOwnerAWSAccountID
	if !accountID.MatchString(owner) {
		owner = c.id.Account()
	}
	name := s.nameOf(owner, in.QueueName)
	if err := s.allow(c, "sqs:GetQueueUrl", name); err != nil {
		return nil, err
	}
	if _, err := s.named(name); err != nil {
		return nil, err
	}
	return map[string]string{"QueueUrl": s.url(c, name)}, nil
}

type listIn struct {
	QueueUrl        string //nolint:revive // the protocol's name
	QueueNamePrefix string
	MaxResults      int
	NextToken       string
}

func (s *Server) listQueues(c *call) (any, error) {
	var in listIn
	if err := c.decode(&in); err != nil {
		return nil, err
	}
	if err := s.allow(c, "sqs:ListQueues", s.nameOf(c.id.Account(), "*")); err != nil {
		return nil, err
	}
	names, next := s.page(in, func(q *queue) bool {
		account, bare := s.split(q.name)
		return s.nameOf(account, "") == s.nameOf(c.id.Account(), "") && strings.HasPrefix(bare, in.QueueNamePrefix)
	})
	return s.urlList(c, "QueueUrls", names, next), nil
}

func (s *Server) listDeadLetterSourceQueues(c *call) (any, error) {
	var in listIn
	if err := c.decode(&in); err != nil {
		return nil, err
	}
	target, err := s.find(c, in.QueueUrl, "sqs:ListDeadLetterSourceQueues")
	if err != nil {
		return nil, err
	}
	names, next := s.page(in, func(q *queue) bool {
		q.mu.Lock()
		defer q.mu.Unlock()
		return q.set.redrive != nil && q.set.redrive.target == target.arn
	})
	return s.urlList(c, "queueUrls", names, next), nil
}

// page lists names in order, beginning with the token's.
func (s *Server) page(in listIn, include func(*queue) bool) (names []string, next string) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	for name, q := range s.queues {
		if name >= in.NextToken && include(q) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	most := 1000
	if in.MaxResults > 0 && in.MaxResults < most {
		most = in.MaxResults
	}
	if len(names) > most {
		names, next = names[:most], names[most]
	}
	if in.MaxResults == 0 {
		next = "" // AWS pages only if MaxResults is set
	}
	return names, next
}

func (s *Server) urlList(c *call, field string, names []string, next string) map[string]any {
	urls := make([]string, len(names))
	for i, name := range names {
		urls[i] = s.url(c, name)
	}
	out := map[string]any{field: urls}
	if next != "" {
		out["NextToken"] = next
	}
	return out
}

func (s *Server) deleteQueue(c *call) (any, error) {
	var in queueIn
	if err := c.decode(&in); err != nil {
		return nil, err
	}
	q, err := s.find(c, in.QueueUrl, "sqs:DeleteQueue")
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.queues[q.name] != q {
		return nil, noQueue
	}
	delete(s.queues, q.name)
	q.end()
	return nil, s.store.commit(change{queue: q.name, destroy: true})
}

func (s *Server) purgeQueue(c *call) (any, error) {
	var in queueIn
	if err := c.decode(&in); err != nil {
		return nil, err
	}
	q, err := s.find(c, in.QueueUrl, "sqs:PurgeQueue")
	if err != nil {
		return nil, err
	}
	return nil, q.purge()
}

func (s *Server) getQueueAttributes(c *call) (any, error) {
	var in struct {
		QueueUrl       string //nolint:revive // the protocol's name
		AttributeNames []string
	}
	if err := c.decode(&in); err != nil {
		return nil, err
	}
	q, err := s.find(c, in.QueueUrl, "sqs:GetQueueAttributes")
	if err != nil {
		return nil, err
	}
	attributes, err := q.attributes(in.AttributeNames)
	if err != nil {
		return nil, err
	}
	return map[string]any{"Attributes": attributes}, nil
}

func (s *Server) setQueueAttributes(c *call) (any, error) {
	var in struct {
		QueueUrl   string //nolint:revive // the protocol's name
		Attributes map[string]string
	}
	if err := c.decode(&in); err != nil {
		return nil, err
	}
	q, err := s.find(c, in.QueueUrl, "sqs:SetQueueAttributes")
	if err != nil {
		return nil, err
	}
	asked, err := parseSettings(in.Attributes)
	if err != nil {
		return nil, err
	}
	s.mu.RLock()
	err = s.checkTarget(asked, q.name)
	s.mu.RUnlock()
	if err != nil {
		return nil, err
	}
	record, err := q.setAttributes(in.Attributes)
	if err != nil {
		return nil, err
	}
	return nil, s.store.commit(change{queue: q.name, create: &record})
}
