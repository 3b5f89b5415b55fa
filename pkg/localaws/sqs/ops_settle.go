package sqs

import (
	"strconv"
	"time"
)

type settleIn struct {
	ID                string `json:"Id"` // in a batch
	QueueUrl          string //nolint:revive // the protocol's name
	ReceiptHandle     string
	VisibilityTimeout *int
}

type idOut struct {
	ID string `json:"Id"`
}

type settleBatchIn struct {
	QueueUrl string //nolint:revive // the protocol's name
	Entries  []settleIn
}

func (s *Server) deleteMessage(c *call) (any, error) {
	var in settleIn
	if err := c.decode(&in); err != nil {
		return nil, err
	}
	q, err := s.find(c, in.QueueUrl, "sqs:DeleteMessage")
	if err != nil {
		return nil, err
	}
	failures, err := q.deleteEntries([]settleIn{in})
	if err == nil && failures[0] != nil {
		err = failures[0]
	}
	return nil, err
}

func (s *Server) deleteMessageBatch(c *call) (any, error) {
	return s.settleBatch(c, "sqs:DeleteMessage", (*queue).deleteEntries)
}

func (s *Server) changeMessageVisibility(c *call) (any, error) {
	var in settleIn
	if err := c.decode(&in); err != nil {
		return nil, err
	}
	q, err := s.find(c, in.QueueUrl, "sqs:ChangeMessageVisibility")
	if err != nil {
		return nil, err
	}
	failures, err := q.extendEntries([]settleIn{in})
	if err == nil && failures[0] != nil {
		err = failures[0]
	}
	return nil, err
}

func (s *Server) changeMessageVisibilityBatch(c *call) (any, error) {
	return s.settleBatch(c, "sqs:ChangeMessageVisibility", (*queue).extendEntries)
}

// settleBatch calls do with the entries and answers for each.
func (s *Server) settleBatch(c *call, action string, do func(*queue, []settleIn) ([]*apiError, error)) (any, error) {
	var in settleBatchIn
	if err := c.decode(&in); err != nil {
		return nil, err
	}
	q, err := s.find(c, in.QueueUrl, action)
	if err != nil {
		return nil, err
	}
	if err := checkBatch(in.Entries, func(e settleIn) string { return e.ID }); err != nil {
		return nil, err
	}
	failures, err := do(q, in.Entries)
	if err != nil {
		return nil, err
	}
	out := batchOut[idOut]{Successful: []idOut{}}
	for i, e := range in.Entries {
		if failures[i] != nil {
			out.Failed = append(out.Failed, failed(e.ID, failures[i]))
			continue
		}
		out.Successful = append(out.Successful, idOut{e.ID})
	}
	return out, nil
}

// deleteEntries deletes, with an error for each entry that failed. Deleting a
// deleted message succeeds.
func (q *queue) deleteEntries(entries []settleIn) ([]*apiError, error) {
	failures, handles, index := q.parseHandles("DeleteMessage", entries)
	outcomes, err := q.delete(handles)
	for i, o := range outcomes {
		if o != gone {
			failures[index[i]] = o.failure(entries[index[i]].ReceiptHandle)
		}
	}
	return failures, err
}

func (q *queue) extendEntries(entries []settleIn) ([]*apiError, error) {
	failures, handles, index := q.parseHandles("ChangeMessageVisibility", entries)
	visibility := make([]time.Duration, len(handles))
	sound := handles[:0]
	kept := index[:0]
	for i, at := range index {
		d, err := entries[at].visibility()
		if err != nil {
			failures[at] = asAPIError(err)
			continue
		}
		visibility[len(sound)] = d
		sound, kept = append(sound, handles[i]), append(kept, at)
	}
	for i, o := range q.extend(sound, visibility) {
		failures[kept[i]] = o.failure(strconv.Itoa(*entries[kept[i]].VisibilityTimeout))
	}
	return failures, nil
}

func (e settleIn) visibility() (time.Duration, error) {
	if e.VisibilityTimeout == nil {
		return 0, missing("VisibilityTimeout")
	}
	return seconds("VisibilityTimeout", *e.VisibilityTimeout, maxVisibility)
}

// parseHandles parses the handles; index[i] is the entry of handles[i].
func (q *queue) parseHandles(op string, entries []settleIn) (failures []*apiError, handles []handle, index []int) {
	failures = make([]*apiError, len(entries))
	for i, e := range entries {
		h, ok := parseHandle(e.ReceiptHandle)
		if !ok {
			failures[i] = badHandle(e.ReceiptHandle)
			continue
		}
		switch {
		case hit(q.faults, Entries, op, q.name):
			failures[i] = entryFault
			continue
		case hit(q.faults, Lose, op, q.name):
			continue
		}
		handles, index = append(handles, h), append(index, i)
	}
	return failures, handles, index
}
