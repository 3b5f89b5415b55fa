// Package walls contains only tests: each tries to get from one tenant to
// another, or to the platform, and checks which mechanism refuses. They run
// against a whole fleet in its own process, as scriptfleet local starts it.
// Where possible the entitled tenant makes the same attempt and succeeds: only
// then does a refusal prove something.
//
// # With the session that invokes a tenant's functions
//
// Refused by the session policy, which the embedded Lambda, SQS, S3 and STS
// check for every call, as AWS does:
//
//  1. invoke another's function: by its name, its ARN, a partial ARN, with a
//     version, as a dry run, as an event
//  2. the same by wildcards, one's own prefix and a path out of it, a qualifier,
//     another's hash under one's own prefix; a tenant whose name begins another's
//  3. get, list, create, delete or throttle functions, one's own included;
//     publish or list layers
//  4. receive or send on any queue, purge or delete one, list them
//  5. get, put, copy, delete or list objects
//
// STS and the signature:
//
//  6. assume the tenants' role again, wider (only the account itself may); the
//     role of scripts; the role of any credential
//  7. another's token under one's own key, another's key with one's own secret,
//     an altered token, none; the account's key
//  8. a session that is over
//  9. a session for a name with a wildcard, a quote, a path: the policy is made of
//     a digest of the name
//  10. a signed call, changed on its way: path, method, query, service, date, token
//
// # From inside a script
//
// The sandbox (package sandbox lists its walls):
//
//  11. credentials in its environment, or in that of any process it sees
//  12. files: another tenant's /tmp, the code of other functions, the data folder,
//     the settings, the host's own
//  13. writes to /opt, /var/task, the runtime, the interpreter, /etc; to a layer
//     that it shares with other tenants
//  14. processes of the fleet: to see, to signal, to trace; namespaces, mounts,
//     raw sockets, other uids
//  15. sockets: by path, abstract, inherited; Docker's, containerd's, D-Bus's
//  16. processes and files that outlive a run: killed, and in no other function
//
// Every port asks for authentication, because scripts share the machine's
// network:
//
//  17. SQS, STS, S3, Lambda and its faults without a signature, with a forged one
//  18. Redis without a password, with a guessed one, in a transaction, subscribed
//  19. profiles and the command line of the fleet's process
//  20. listening where the fleet listens
//  21. credentials of the machine's metadata service: see below
//
// The Runtime API, a socket of each environment:
//
//  22. the answer to another invocation: the environment ends, the run fails
//  23. an answer of its own with fields of the event in it, with what is not JSON
//     or no text, or with an error in Lambda's words: it stays this run's output
//     or error
//  24. forged REPORT lines: the platform's own stands last
//  25. logs, heads and bodies without end: cut off, and never held in memory
//
// # By a forged request
//
//  26. a tenant in odd spelling, or named twice: buried, and not answered
//  27. fields of the platform's (role_arn, function, env_hash, …): refused
//  28. (tenant, source, id) that read like another's when joined; scopes of slots;
//     keys of Redis: digests of parts with their lengths
//  29. the cancellation of another's run: not found
//  30. another's credential by its name, by a path, by its ARN; another's role in
//     one's own settings (its external ID is not one's own), a role of ours
//  31. the bytes of another's script: another function all the same
//  32. a layer from a private index: the tenant is part of its hash
//  33. requirements that are options, addresses, paths or variables: refused before
//     an installer sees them
//  34. wheels that lead out of their folder or start code, source distributions:
//     nothing of them runs in a build, which sees nothing but its workshop
//
// # By a forged claim check, or another's result
//
//  35. a pointer to another bucket or prefix, to results, runs or zips, with dots,
//     escapes, doubled slashes, or to a key of another group: buried unread
//  36. a pointer to another's result, in one's own group: not redeemed
//  37. every result that comes, in all of these tests, is held to this: group,
//     attribute and event name the same tenant, and its id is the digest of the
//     run's tenant, source and id
//
// # With the keys of a credential
//
// Both tenants' roles may do everything in their own AWS accounts:
//
//  38. invoke or list functions; assume the tenants' role, another's or one's own
//  39. receive, send, purge or delete on a queue of the fleet or of another tenant
//  40. get, put, copy, list or delete in a bucket of the fleet or of another
//     tenant; make a bucket under a name that is taken
//  41. find the keys anywhere else than in the run: queues, functions, objects, logs
//     and settings on disk, every key of Redis, metrics, the process's command
//     line and environment, the result; while the run is under way and after it,
//     in whichever way it ends
//
// # From one script of an env runner to the tenant's next
//
// Tried on the embedded stack, and in an environment as Lambda documents it: one
// uid, no namespaces, a Runtime API that every process can reach. Where one
// process executes both scripts without the mechanism, the attempt works.
//
//  42. files in /tmp and /dev/shm: links, pipes, folders that nobody may enter and
//     that are deeper than a path; a full disk; the mode and the attributes of
//     /tmp; a core
//  43. what Python or a shell loads by itself from a home folder
//  44. processes: a daemon in a session of its own, forked twice; a chain of forks; a
//     server on a port, an abstract socket, a lock on a file
//  45. patched modules and built-in functions, sys.modules; the environment,
//     LD_PRELOAD, folder, mask, priority, limits; timers, handlers of signals, atexit
//  46. the input of the run before, credentials included, anywhere in memory
//  47. objects of System V, a POSIX message queue, a key in a keyring
//  48. the memory, the environment, the files and the trace of the runner's own
//     processes; signals to them; their limits, priorities and processors; their
//     descriptors; the handler's files
//  49. the Runtime API: by every name of its address, without blocking, from a
//     child, with data in the first packet, with an address that changes between
//     the look and the connect. Without the wall a script answers its own run and
//     takes the next one's event
//
// Each wall was taken away, and this case failed:
//
//	not dumpable                         trace another process (the runner stops)
//	each call that the filter names      make a system call that the filter refuses
//	connects are asked for, and looked at; fast open of each send    the Runtime API
//	the template is their subreaper      a daemon, a chain of forks, a server, a lock
//	/tmp; /dev/shm; System V             files in each; objects of System V
//	no message queues; no descriptors    a POSIX message queue; find a descriptor
//	no core                              be allowed a core
//	no test: the filter's architecture, limits of processes that fork without end,
//	the mode and attributes of a folder of one's own, /var/tmp, and addresses like
//	::ffff:127.0.0.1 for the Runtime API, which two walls refuse
//
// # What no wall prevents
//
// A script shares the machine's network, because it needs egress. So it reaches
// what this machine reaches: services on the loopback address without
// authentication, and a cloud's metadata service. On such a machine the
// operator must block 169.254.169.254 for the sandbox's uids, from
// 1,610,612,736 up, if the fleet runs as root, or give the machine no role. A
// test here fails if the service returns a role. A script may also listen on
// free ports.
//
// A script that answers in place of its runtime breaks its own environment, so
// the next run of the same script can time out: a run of the same tenant, and
// on Lambda too. A session for a credential in local development stays valid
// until it expires, also if the settings change, as on AWS.
package walls
