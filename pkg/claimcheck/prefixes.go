package claimcheck

// Each kind of a fleet's queues has a prefix of its own in the bucket, so a
// pointer on one queue cannot name an object of another.

// Requests is for the requests queue and its dead letters. Its senders may be
// official clients.
func Requests(fleet string) Config { return Config{Prefix: fleet + "/requests", Foreign: true} }

// Runs is for the partitions and their dead letters.
func Runs(fleet string) Config { return Config{Prefix: fleet + "/runs"} }

// Results is for the results queue.
func Results(fleet string) Config { return Config{Prefix: fleet + "/results"} }
