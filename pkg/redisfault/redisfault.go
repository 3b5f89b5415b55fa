// Package redisfault classifies the errors of calls of Redis, for the adapters
// that use it. Its hook Redial drops the connections to a server that is no
// longer the primary.
package redisfault

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/redis/go-redis/v9"
)

// Unavailable tells whether Redis is out of reach for now, so that repeating
// the call later may help. That is true for every error of the connection, a
// deadline included, and for the answers in kinds, which a server gives to all
// calls alike. It is false for context.Canceled: the caller does not want the
// answer any more.
func Unavailable(err error) bool {
	if err == nil || errors.Is(err, context.Canceled) || errors.Is(err, redis.Nil) {
		return false
	}
	text, ok := replyOf(err)
	return !ok || kindOf(text).class != fault
}

// Explain puts a sentence before an error answer of Redis: what it means, and
// what the operator should do. It returns every other error unchanged.
func Explain(err error) error {
	text, ok := replyOf(err)
	if !ok {
		return err
	}
	if k := kindOf(text); k.means != "" {
		return fmt.Errorf("%s: %w", k.means, err)
	}
	return err
}

// Forbidden tells whether Redis refused the call because its user may not make it.
func Forbidden(err error) bool {
	text, ok := replyOf(err)
	return ok && kindOf(text).means == forbidden
}

// moved tells whether err is the answer of a server that is no longer the
// primary.
func moved(err error) bool {
	text, ok := replyOf(err)
	return ok && kindOf(text).class == elsewhere
}

// replyOf returns the text of the error answer of Redis in err, if it contains
// one.
func replyOf(err error) (string, bool) {
	var reply redis.Error
	if err == nil || !errors.As(err, &reply) {
		return "", false
	}
	return reply.Error(), true
}

func kindOf(reply string) kind {
	for _, k := range kinds {
		if holds(reply, k.says) {
			return k
		}
	}
	return kind{class: fault}
}

// holds tells whether a reply contains the words anywhere: scripts and some
// proxies put their own words before the server's. It matches whole words only:
// BUSY is not in BUSYGROUP.
func holds(reply, words string) bool {
	for from := 0; ; {
		at := strings.Index(reply[from:], words)
		if at < 0 {
			return false
		}
		at += from
		from = at + len(words)
		if (at == 0 || !letter(reply[at-1])) && (from == len(reply) || !letter(reply[from])) {
			return true
		}
	}
}

func letter(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '_'
}
