package sqs

import "maps"

func (s *Server) tagQueue(c *call) (any, error) {
	var in struct {
		QueueUrl string //nolint:revive // the protocol's name
		Tags     map[string]string
	}
	if err := c.decode(&in); err != nil {
		return nil, err
	}
	return s.retag(c, in.QueueUrl, "sqs:TagQueue", func(tags map[string]string) { maps.Copy(tags, in.Tags) })
}

func (s *Server) untagQueue(c *call) (any, error) {
	var in struct {
		QueueUrl string //nolint:revive // the protocol's name
		TagKeys  []string
	}
	if err := c.decode(&in); err != nil {
		return nil, err
	}
	return s.retag(c, in.QueueUrl, "sqs:UntagQueue", func(tags map[string]string) {
		for _, key := range in.TagKeys {
			delete(tags, key)
		}
	})
}

func (s *Server) retag(c *call, url, action string, change func(map[string]string)) (any, error) {
	q, err := s.find(c, url, action)
	if err != nil {
		return nil, err
	}
	return nil, q.retag(change)
}

func (q *queue) retag(apply func(map[string]string)) error {
	q.mu.Lock()
	tags := maps.Clone(q.record.Tags)
	if tags == nil {
		tags = map[string]string{}
	}
	apply(tags)
	q.record.Tags = tags
	record := q.record
	q.mu.Unlock()
	return q.store.commit(change{queue: q.name, create: &record})
}

func (s *Server) listQueueTags(c *call) (any, error) {
	var in queueIn
	if err := c.decode(&in); err != nil {
		return nil, err
	}
	q, err := s.find(c, in.QueueUrl, "sqs:ListQueueTags")
	if err != nil {
		return nil, err
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	return map[string]any{"Tags": maps.Clone(q.record.Tags)}, nil
}
