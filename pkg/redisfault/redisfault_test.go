package redisfault

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"
)

func TestErrorsAreToldApart(t *testing.T) {
	for _, c := range []struct {
		err  error
		want bool
	}{
		{nil, false},
		{redis.Nil, false},
		{context.Canceled, false},
		{fmt.Errorf("claim: %w", context.Canceled), false},
		{context.DeadlineExceeded, true},
		{io.EOF, true},
		{redis.ErrClosed, true},
		{errors.New("redis: connection pool timeout"), true},
	} {
		if got := Unavailable(c.err); got != c.want {
			t.Errorf("Unavailable(%v) = %v", c.err, got)
		}
		if c.err != nil && Explain(c.err) != c.err {
			t.Errorf("Explain(%v) says %v", c.err, Explain(c.err))
		}
	}
}

// reply is an error answer of a server, in the type that the client returns.
type reply string

func (r reply) Error() string { return string(r) }
func (reply) RedisError()     {}

// These are the error codes of Redis 7, as the server, scripts of Redis 6 and
// 7, and proxies word them.
func TestEveryAnswerHasItsClass(t *testing.T) {
	for text, want := range map[string]class{
		"READONLY You can't write against a read only replica.":                                                           elsewhere,
		"ERR READONLY You can't write against a read only replica.":                                                       elsewhere,
		"ERR Error running script (call to f_1): @user_script:1: -READONLY You can't write against a read only replica. ": elsewhere,
		"READONLY You can't write against a read only replica. script: 1, on @user_script:1.":                             elsewhere,
		"MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.":                                elsewhere,

		"LOADING Redis is loading the dataset in memory":                                               passing,
		"ERR LOADING Redis is loading the dataset in memory":                                           passing,
		"BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.":       passing,
		"TRYAGAIN Multiple keys request during rehashing of slot":                                      passing,
		"CLUSTERDOWN Hash slot not served":                                                             passing,
		"NOGOODSLAVE No suitable replica to promote":                                                   passing,
		"NOMASTERLINK Can't SYNC while not connected with my master":                                   passing,
		"UNBLOCKED force unblock from blocking operation, instance state changed (master -> replica?)": passing,
		"EXECABORT Transaction discarded because of previous errors.":                                  passing,
		"ERR max number of clients reached":                                                            passing,

		"CROSSSLOT Keys in request don't hash to the same slot":                        operator,
		"ERR CROSSSLOT Keys in request don't hash to the same slot":                    operator,
		"MOVED 3999 127.0.0.1:6381":                                                    operator,
		"ASK 3999 127.0.0.1:6381":                                                      operator,
		"ERR Script attempted to access keys that do not hash to the same slot":        operator,
		"ERR Script attempted to access a non local key in a cluster node":             operator,
		"ERR SELECT is not allowed in cluster mode":                                    operator,
		"OOM command not allowed when used memory > 'maxmemory'.":                      operator,
		"ERR Error running script: @user_script:1: -OOM command not allowed":           operator,
		"MISCONF Redis is configured to save RDB snapshots, but it's currently unable": operator,
		"NOREPLICAS Not enough good replicas to write.":                                operator,
		"NOAUTH Authentication required.":                                              operator,
		"ERR NOAUTH Authentication required.":                                          operator,
		"WRONGPASS invalid username-password pair or user is disabled.":                operator,
		"ERR AUTH <password> called without any password configured for the default user. Are you sure your configuration is correct?": operator,
		"NOPERM this user has no permissions to run the 'evalsha' command":                                                             operator,
		"ERR ACL failure in script: User f has no permissions to run the 'publish'":                                                    operator,
		"ERR The user executing the script can't run this command or subcommand script: 1":                                             operator,
		"ERR DB index is out of range":                            operator,
		"DENIED Redis is running in protected mode because":       operator,
		"NOPROTO unsupported protocol version":                    operator,
		"ERR unknown command 'EVALSHA', with args beginning with": operator,
		"ERR Unknown Redis command called from script script: 1":  operator,

		"WRONGTYPE Operation against a key holding the wrong kind of value": fault,
		"NOSCRIPT No matching script. Please use EVAL.":                     fault, // the client sends the script
		"ERR value is not an integer or out of range":                       fault,
		"ERR wrong number of arguments for 'get' command":                   fault,
		"ERR Error compiling script (new function)":                         fault,
		"NOTBUSY No scripts in execution right now.":                        fault,
		"BUSYKEY Target key name already exists.":                           fault,
		"BUSYGROUP Consumer Group name already exists":                      fault,
		"NOGROUP No such key or consumer group":                             fault,
		"UNKILLABLE Sorry the script already executed write commands":       fault,
		"INPROG Failover already in progress":                               fault,
		"IOERR error or timeout writing to target instance":                 fault,
	} {
		err := fmt.Errorf("claim runs: %w", reply(text))
		if got := kindOf(text); got.class != want {
			t.Errorf("%s: class %d, not %d", text, got.class, want)
		}
		if Unavailable(err) != (want != fault) {
			t.Errorf("Unavailable(%v) = %v", err, Unavailable(err))
		}
		explained := Explain(err)
		if told := explained != err; told != (want != fault) || !errors.Is(explained, reply(text)) {
			t.Errorf("%s is explained as %v", text, explained)
		}
	}
}

func TestEachKindSaysWhatItMeans(t *testing.T) {
	seen := map[string]bool{}
	for _, k := range kinds {
		if k.class == fault || !strings.Contains(k.means, ":") || seen[k.says] {
			t.Errorf("%+v", k)
		}
		seen[k.says] = true
	}
}
