package sqs

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"go.etcd.io/bbolt"
	"go.uber.org/zap"

	"github.com/scriptfleet/scriptfleet/pkg/localaws/auth"
	"github.com/scriptfleet/scriptfleet/pkg/panics"
)

// Config configures a Server.
type Config struct {
	Region  string
	Account string
	DB      *bbolt.DB // nil: in memory only
}

// Deps are a Server's dependencies.
type Deps struct {
	Log   *zap.Logger
	Guard panics.Guard // of timers and of commits, which are no call's own
}

// Server is the SQS endpoint: an http.Handler that must be behind auth.Verify.
type Server struct {
	cfg   Config
	log   *zap.Logger
	guard panics.Guard
	store *store
	epoch uint32

	faults *Faults
	short  chan struct{} // closed by EndPolls
	once   sync.Once     // closes short

	mu     sync.RWMutex
	queues map[string]*queue
}

// New returns a server with the queues of the database.
func New(cfg Config, deps Deps) (*Server, error) {
	if deps.Log == nil {
		deps.Log = zap.NewNop()
	}
	var epoch [4]byte
	rand.Read(epoch[:]) // never fails
	s := &Server{
		cfg: cfg, log: deps.Log, guard: deps.Guard, store: newStore(cfg.DB, deps.Guard),
		epoch: binary.BigEndian.Uint32(epoch[:]), faults: &Faults{}, short: make(chan struct{}), queues: map[string]*queue{},
	}
	found, err := s.store.load()
	if err != nil {
		s.store.close()
		return nil, err
	}
	for name, st := range found {
		set, err := parseSettings(st.record.Attributes)
		if err != nil {
			s.store.close()
			return nil, fmt.Errorf("load queue %s: %w", name, err)
		}
		q := s.newQueue(name, st.record, set)
		q.restore(time.Now(), st.messages)
		s.queues[name] = q
	}
	return s, nil
}

// EndPolls makes all polls, waiting and later ones, answer at once with the
// messages that there are, so that a drain of the fleet need not wait for them.
func (s *Server) EndPolls() { s.once.Do(func() { close(s.short) }) }

// Close ends the waiting polls and commits pending changes. No call may be
// served during or after it.
func (s *Server) Close() {
	s.mu.Lock()
	for _, q := range s.queues {
		q.end()
	}
	s.queues = map[string]*queue{}
	s.mu.Unlock()
	s.store.close()
}

// A queue of the stack's own account goes by its name here, and one of another
// account by ACCOUNT/NAME: each account has names of its own.

// nameOf is what a queue of an account goes by.
func (s *Server) nameOf(account, name string) string {
	if account == s.cfg.Account || account == "" {
		return name
	}
	return account + "/" + name
}

// split is the account of a queue and its name there.
func (s *Server) split(name string) (account, bare string) {
	if account, bare, other := strings.Cut(name, "/"); other {
		return account, bare
	}
	return s.cfg.Account, name
}

func (s *Server) arn(name string) string {
	account, bare := s.split(name)
	return "arn:aws:sqs:" + s.cfg.Region + ":" + account + ":" + bare
}

// call is one request, parsed for its operation.
type call struct {
	ctx  context.Context
	host string // the host by which the client calls us: queue URLs contain it
	id   auth.Identity
	body []byte
}

func (c *call) decode(into any) error {
	if len(c.body) == 0 {
		return nil
	}
	if err := json.Unmarshal(c.body, into); err != nil {
		var typeErr *json.UnmarshalTypeError
		if errors.As(err, &typeErr) {
			return &apiError{"SerializationException", 400, fmt.Sprintf("%s can not be converted to the type of %s", typeErr.Value, typeErr.Field)}
		}
		return &apiError{"SerializationException", 400, "the body is not JSON: " + err.Error()}
	}
	return nil
}

type operation func(s *Server, c *call) (any, error)

var operations = map[string]operation{
	"CreateQueue":                  (*Server).createQueue,
	"GetQueueUrl":                  (*Server).getQueueURL,
	"ListQueues":                   (*Server).listQueues,
	"DeleteQueue":                  (*Server).deleteQueue,
	"PurgeQueue":                   (*Server).purgeQueue,
	"GetQueueAttributes":           (*Server).getQueueAttributes,
	"SetQueueAttributes":           (*Server).setQueueAttributes,
	"ListDeadLetterSourceQueues":   (*Server).listDeadLetterSourceQueues,
	"TagQueue":                     (*Server).tagQueue,
	"UntagQueue":                   (*Server).untagQueue,
	"ListQueueTags":                (*Server).listQueueTags,
	"SendMessage":                  (*Server).sendMessage,
	"SendMessageBatch":             (*Server).sendMessageBatch,
	"ReceiveMessage":               (*Server).receiveMessage,
	"DeleteMessage":                (*Server).deleteMessage,
	"DeleteMessageBatch":           (*Server).deleteMessageBatch,
	"ChangeMessageVisibility":      (*Server).changeMessageVisibility,
	"ChangeMessageVisibilityBatch": (*Server).changeMessageVisibilityBatch,
}

const maxRequestBytes = 8 << 20 // a batch of 1 MiB with every byte escaped

// ServeHTTP answers one call.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	name, ok := strings.CutPrefix(r.Header.Get("X-Amz-Target"), "AmazonSQS.")
	op := operations[name]
	if !ok || op == nil {
		(&apiError{"UnsupportedOperation", 400, fmt.Sprintf("the embedded SQS has no operation %q; it speaks AWS JSON 1.0", name)}).write(w)
		return
	}
	id, ok := auth.From(r.Context())
	if !ok {
		(&apiError{"MissingAuthenticationToken", 403, "the request carries no identity"}).write(w)
		return
	}
	body, err := auth.Body(r, maxRequestBytes)
	if err != nil {
		(&apiError{"RequestEntityTooLarge", 413, "read request: " + err.Error()}).write(w)
		return
	}
	out, err := op(s, &call{ctx: r.Context(), host: r.Host, id: id, body: body})
	if err != nil {
		s.fail(w, name, err)
		return
	}
	s.answer(w, name, out)
}

// answer writes an answer with its length: in one packet, if it is short.
func (s *Server) answer(w http.ResponseWriter, name string, out any) {
	w.Header().Set("Content-Type", "application/x-amz-json-1.0")
	if out == nil {
		return
	}
	content, err := json.Marshal(out)
	if err != nil {
		s.fail(w, name, fmt.Errorf("encode the answer: %w", err))
		return
	}
	w.Header().Set("Content-Length", strconv.Itoa(len(content)))
	if _, err := w.Write(content); err != nil {
		s.log.Debug("answer not taken", zap.String("operation", name), zap.Error(err))
	}
}

func (s *Server) fail(w http.ResponseWriter, name string, err error) {
	e := asAPIError(err)
	if e.status >= 500 {
		s.log.Error("sqs operation failed", zap.String("operation", name), zap.Error(err))
	}
	e.write(w)
}

// allow refuses an action on the queue that the caller's policies do not allow.
func (s *Server) allow(c *call, action, name string) error {
	if arn := s.arn(name); !c.id.Allows(action, arn) {
		return &apiError{"AccessDenied", 403, auth.Denied(c.id, action, arn)}
	}
	return nil
}

// find is the queue of a URL, if the caller may perform the action on it.
func (s *Server) find(c *call, url, action string) (*queue, error) {
	if url == "" {
		return nil, missing("QueueUrl")
	}
	name := s.nameIn(url)
	if err := s.allow(c, action, name); err != nil {
		return nil, err
	}
	q, err := s.named(name)
	if err == nil && hit(s.faults, Refuse, strings.TrimPrefix(action, "sqs:"), name) {
		return nil, unavailable
	}
	return q, err
}

// nameIn is the queue of a URL, which ends in /ACCOUNT/NAME.
func (s *Server) nameIn(url string) string {
	rest, name := path.Split(url)
	account := path.Base(rest)
	if !accountID.MatchString(account) {
		account = "" // a bare name, or a path that is ours
	}
	return s.nameOf(account, name)
}

var accountID = regexp.MustCompile(`^[0-9]{12}$`)

func (s *Server) newQueue(name string, record queueRecord, set settings) *queue {
	q := newQueue(name, s.arn(name), record, set, s.epoch, s.store)
	q.faults, q.short, q.guard = s.faults, s.short, s.guard
	return q
}

func (s *Server) named(name string) (*queue, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if q := s.queues[name]; q != nil {
		return q, nil
	}
	return nil, noQueue
}

// ofARN is what the queue of an ARN goes by.
func (s *Server) ofARN(arn string) string {
	parts := strings.Split(arn, ":")
	if len(parts) != 6 {
		return arn
	}
	return s.nameOf(parts[4], parts[5])
}

// byARN is the queue of an ARN of this region.
func (s *Server) byARN(arn string) (*queue, error) {
	name := s.ofARN(arn)
	if s.arn(name) != arn {
		return nil, noQueue
	}
	return s.named(name)
}

// Bytes is what the messages of an account take, with 1 KiB for each message and
// queue.
func (s *Server) Bytes(account string) (n int64) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	for name, q := range s.queues {
		if of, _ := s.split(name); of == account {
			n += q.bytes()
		}
	}
	return n
}

// Stats returns the counts of every queue, sorted by name.
func (s *Server) Stats() []Stats {
	s.mu.RLock()
	defer s.mu.RUnlock()
	all := make([]Stats, 0, len(s.queues))
	for _, q := range s.queues {
		all = append(all, q.stats())
	}
	slices.SortFunc(all, func(a, b Stats) int { return strings.Compare(a.Name, b.Name) })
	return all
}
