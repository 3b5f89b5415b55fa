package redisfault

// class is a class of error answers, by how callers handle them.
type class int

const (
	// fault is an error of the program, or of the value of one key. After an
	// answer of any other class, calls are repeated and the intake pauses.
	fault class = iota
	// passing is a fault of Redis that ends by itself.
	passing
	// elsewhere means that the primary is at another address. Open connections
	// are not used again, so that the next call resolves the address again.
	elsewhere
	// operator is a fault that lasts until a person changes Redis or a setting.
	operator
)

// kind is a kind of error answers.
type kind struct {
	says  string // the code that the answer contains, or words if it has no code
	class class
	means string // what the answer means and what to do, for an operator
}

const (
	asReplica = "Redis answers as a replica: this passes once a failover has ended; else point REDIS_URL at the primary"
	asCluster = "Redis runs in cluster mode, which scriptfleet does not use: point REDIS_URL at a Redis with cluster mode off"
	login     = "Redis refuses the user or the password of REDIS_URL: correct it, and restart this process"
	forbidden = "the user of REDIS_URL may not do all that scriptfleet does: give it the permissions that deploy/README.md lists"
	tooLittle = "Redis refuses a command: version 6.2 or later is needed, with the commands that deploy/README.md lists; a Sentinel is none"
)

// kinds are all kinds of answers whose class is not fault. The first that
// matches is used, so the words of a cluster stand before codes that other
// servers have too.
var kinds = []kind{
	{"CROSSSLOT", operator, asCluster},
	{"MOVED", operator, asCluster},
	{"ASK", operator, asCluster},
	{"do not hash to the same slot", operator, asCluster}, // of a script
	{"non local key in a cluster node", operator, asCluster},
	{"SELECT is not allowed in cluster mode", operator, asCluster},

	{"READONLY", elsewhere, asReplica},
	{"MASTERDOWN", elsewhere, "Redis answers as a replica without its primary: this passes once a failover has ended"},

	{"LOADING", passing, "Redis has started and reads its data: this passes by itself"},
	{"BUSY", passing, "Redis is held up by a script that runs for too long: this passes once it ends, or with SCRIPT KILL"},
	{"TRYAGAIN", passing, "Redis moves keys: this passes by itself"},
	{"CLUSTERDOWN", passing, "a cluster of Redis, or the proxy before it, does not serve: this passes once it is whole; scriptfleet needs a Redis with cluster mode off"},
	{"NOGOODSLAVE", passing, "a failover finds no replica: this passes once one is there"},
	{"NOMASTERLINK", passing, "a replica has lost its primary: this passes once a failover has ended"},
	{"UNBLOCKED", passing, "a failover broke the call off: this passes by itself"},
	{"max number of clients", passing, "Redis has as many clients as it takes: raise its maxclients, or run fewer processes"},

	{"OOM", operator, "Redis is out of memory: give it more (maxmemory)"},
	{"MISCONF", operator, "Redis takes no writes because it can't save to its disk: make room there, or turn persistence off"},
	{"NOREPLICAS", operator, "Redis takes no writes because too few replicas follow it: bring them back, or lower min-replicas-to-write"},
	{"NOAUTH", operator, login},
	{"WRONGPASS", operator, login},
	{"without any password configured", operator, login},
	{"NOPERM", operator, forbidden},
	{"ACL failure in script", operator, forbidden},
	{"user executing the script can't", operator, forbidden},
	{"DB index", operator, "Redis does not have the database that REDIS_URL names: choose another, or raise its setting databases"},
	{"DENIED", operator, "Redis is in protected mode: give it a password, or bind it to an address"},
	{"NOPROTO", operator, tooLittle},
	{"unknown command", operator, tooLittle},
	{"Unknown Redis command", operator, tooLittle}, // of a script

	{"EXECABORT", passing, "Redis has discarded a transaction: this passes by itself"}, // it may hold the reason
}
