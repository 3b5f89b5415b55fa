package queue

import "strconv"

// Names are the names of the queues of one fleet.
type Names struct {
	Requests     string
	Partitions   []string // in order of their number
	Side         string   // for tenants over their backlog budget
	Results      string
	RequestsDLQ  string
	PartitionDLQ string // of the partitions and the side partition
}

// NamesOf returns the names of a fleet with this prefix and n partitions.
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

// Redrives maps each queue to its dead-letter queue. The results queue has
// none, since the stories consume it.
func (n Names) Redrives() map[string]string {
	to := map[string]string{n.Requests: n.RequestsDLQ, n.Side: n.PartitionDLQ}
	for _, p := range n.Partitions {
		to[p] = n.PartitionDLQ
	}
	return to
}

// All lists every queue, in an order in which they can be created: a
// dead-letter queue stands before the queues that name it.
func (n Names) All() []string {
	all := []string{n.RequestsDLQ, n.PartitionDLQ, n.Requests}
	all = append(all, n.Partitions...)
	return append(all, n.Side, n.Results)
}
