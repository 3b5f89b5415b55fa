// Package redisfault tells a Redis that is out of reach from every other
// failure, for the adapters that use one.
package redisfault

import (
	"context"
	"errors"
	"strings"

	"github.com/redis/go-redis/v9"
)

// Unavailable says that err means: not now, and repeating it later may help.
// These are all errors of the connection, a deadline included, and the answers
// of a server that starts, fails over, is stuck or is full. A context that the
// caller cancelled is none of them: nobody waits for the answer.
func Unavailable(err error) bool {
	if err == nil || errors.Is(err, context.Canceled) || errors.Is(err, redis.Nil) {
		return false
	}
	var reply redis.Error
	if !errors.As(err, &reply) {
		return true
	}
	for _, code := range passing {
		// An error inside of a script may carry its code further on.
		if strings.HasPrefix(reply.Error(), code+" ") || strings.Contains(reply.Error(), " -"+code+" ") {
			return true
		}
	}
	return false
}

// passing are the codes of the answers that pass without anybody's change to
// the program.
var passing = []string{
	"LOADING",     // it starts and reads its data
	"READONLY",    // a replica that was the primary, after a failover
	"MASTERDOWN",  // a replica without its primary
	"NOREPLICAS",  // too few replicas to take writes
	"CLUSTERDOWN", // a proxy or a cluster that reforms
	"TRYAGAIN",
	"BUSY",        // another's script runs for too long
	"OOM",         // out of memory: the operator gives it more
	"MISCONF",     // cannot write its snapshot
	"NOAUTH",      // a password that is being changed
	"WRONGPASS",   // the same
	"UNBLOCKED",   // a failover broke the call
	"ERR max",     // max number of clients reached
	"NOGOODSLAVE", // a failover that finds no replica
}
