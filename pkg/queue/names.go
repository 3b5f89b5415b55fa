package queue

import "strconv"

// Names are the queues of one fleet.
type Names struct {
	Requests     string
	Partitions   []string // in order of their number
	Side         string   // for tenants over their backlog budget
	Results      string
	RequestsDLQ  string
	PartitionDLQ string // of the partitions and the side partition
}

// NamesOf are the names under a prefix, with n partitions.
func NamesOf(prefix string, n int) Names {
	names := Names{
		Requests:     prefix + "-requests",
		Side:         prefix + "-partition-side",
		Results:      prefix + "-results",
		RequestsDLQ:  prefix + "-requests-dlq",
		PartitionDLQ: prefix + "-partition-dlq",
	}
	for i := range n {
		names.Partitions = append(names.Partitions, prefix+"-partition-"+strconv.Itoa(i))
	}
	return names
}

// Redrives tells which dead-letter queue a queue's messages go to; the results
// queue has none, for its consumer is not ours.
func (n Names) Redrives() map[string]string {
	to := map[string]string{n.Requests: n.RequestsDLQ, n.Side: n.PartitionDLQ}
	for _, p := range n.Partitions {
		to[p] = n.PartitionDLQ
	}
	return to
}

// All lists every queue, dead-letter queues first, so that they can be created
// in this order.
func (n Names) All() []string {
	all := []string{n.RequestsDLQ, n.PartitionDLQ, n.Requests}
	all = append(all, n.Partitions...)
	return append(all, n.Side, n.Results)
}
