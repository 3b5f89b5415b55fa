package sqs

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
)

// handle is a parsed receipt handle: a message, and one delivery of it. Each
// process numbers deliveries from 1, so a handle also has the process's epoch.
// Like those of AWS its text has no hyphens: the official extended client for
// Python joins handles by hyphens.
type handle struct {
	seq     uint64
	epoch   uint32
	receipt uint32
	tag     uint64 // of the message's id: sequence numbers may be reused, ids are not
}

const handleBytes = 8 + 4 + 4 + 8

func tagOf(id string) uint64 {
	sum := sha256.Sum256([]byte(id))
	return binary.BigEndian.Uint64(sum[:])
}

func (h handle) String() string {
	var b [handleBytes]byte
	binary.BigEndian.PutUint64(b[0:], h.seq)
	binary.BigEndian.PutUint32(b[8:], h.epoch)
	binary.BigEndian.PutUint32(b[12:], h.receipt)
	binary.BigEndian.PutUint64(b[16:], h.tag)
	return "AQEB" + base64.StdEncoding.EncodeToString(b[:])
}

func parseHandle(s string) (handle, bool) {
	if len(s) < 4 || s[:4] != "AQEB" {
		return handle{}, false
	}
	b, err := base64.StdEncoding.DecodeString(s[4:])
	if err != nil || len(b) != handleBytes {
		return handle{}, false
	}
	return handle{
		seq: binary.BigEndian.Uint64(b[0:]), epoch: binary.BigEndian.Uint32(b[8:]),
		receipt: binary.BigEndian.Uint32(b[12:]), tag: binary.BigEndian.Uint64(b[16:]),
	}, true
}
