package sqs

import (
	"crypto/md5" // for the protocol's checksums, not for security
	"encoding/binary"
	"encoding/hex"
	"hash"
	"maps"
	"slices"
	"strings"
	"time"
)

// message is one message of a queue. Fields with a JSON name are stored in the
// database.
type message struct {
	ID         string               `json:"id"`
	Body       string               `json:"body"`
	BodyMD5    string               `json:"md5"`
	Attributes map[string]attribute `json:"attributes,omitempty"`
	Group      string               `json:"group,omitempty"`
	DedupID    string               `json:"dedup,omitempty"`
	Trace      string               `json:"trace,omitempty"` // AWSTraceHeader
	Sender     string               `json:"sender,omitempty"`
	DeadFrom   string               `json:"dead_from,omitempty"` // ARN of the queue that buried it
	SentAt     time.Time            `json:"sent"`
	DelayedTo  time.Time            `json:"delayed,omitzero"`

	seq      uint64 // unique in its queue, ascending by send order
	receives int    // since it was sent
	receipt  uint32 // receives by this process: identifies the newest handle
	firstAt  time.Time
	tookAt   time.Time // time of the newest receive

	state   state
	putBack bool      // its consumer shortened its visibility: it goes behind the others
	until   time.Time // if delayed or in flight: when it becomes visible
	place   int64     // if ready: its place in the order of delivery
	owner   *group
	prev    *message // neighbours in its group's ready list
	next    *message
	inDue   int // positions in the engine's heaps
	inOld   int
}

type state uint8

const (
	delayed state = iota
	ready
	inFlight
)

// attribute is a message attribute, with the field names of the protocol.
type attribute struct {
	DataType    string
	StringValue *string `json:",omitempty"`
	BinaryValue []byte  `json:",omitempty"`
}

func (a attribute) binary() bool { return strings.HasPrefix(a.DataType, "Binary") }

func (a attribute) value() []byte {
	if a.binary() {
		return a.BinaryValue
	}
	if a.StringValue == nil {
		return nil
	}
	return []byte(*a.StringValue)
}

// sizeOf is the size that counts towards the limit of 1 MiB: body and
// attributes, with their names and types. AWSTraceHeader does not count.
func sizeOf(body string, attributes map[string]attribute) int {
	n := len(body)
	for name, a := range attributes {
		n += len(name) + len(a.DataType) + len(a.value())
	}
	return n
}

func md5Hex(s string) string {
	sum := md5.Sum([]byte(s))
	return hex.EncodeToString(sum[:])
}

// attributesMD5 is the checksum that clients verify. Over the attributes sorted
// by name, it hashes name, type, kind of value and value, each after its
// length. It is "" without attributes.
func attributesMD5(attributes map[string]attribute) string {
	if len(attributes) == 0 {
		return ""
	}
	sum := md5.New()
	for _, name := range slices.Sorted(maps.Keys(attributes)) {
		a := attributes[name]
		writeSized(sum, []byte(name))
		writeSized(sum, []byte(a.DataType))
		kind := byte(1)
		if a.binary() {
			kind = 2
		}
		sum.Write([]byte{kind})
		writeSized(sum, a.value())
	}
	return hex.EncodeToString(sum.Sum(nil))
}

func writeSized(h hash.Hash, b []byte) {
	var size [4]byte
	binary.BigEndian.PutUint32(size[:], uint32(len(b)))
	h.Write(size[:])
	h.Write(b)
}
