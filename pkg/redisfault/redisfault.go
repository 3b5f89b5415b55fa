// Package redisfault says what each failure of a call to Redis means, for the
// adapters that use one, and leaves a server that is no longer the primary.
package redisfault

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/redis/go-redis/v9"
)

// Unavailable says that err means: not now, and repeating it later may help.
// These are all errors of the connection, a deadline included, and the answers of
// a server that gives them to every call alike. A context that the caller
// cancelled is none of them: nobody waits for the answer.
func Unavailable(err error) bool {
	if err == nil || errors.Is(err, context.Canceled) || errors.Is(err, redis.Nil) {
		return false
	}
	text, ok := replyOf(err)
	return !ok || kindOf(text).class != fault
}

// Explain puts before an answer of Redis what it means, and what to do where
// somebody has to do something. Every other error is returned as it is.
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

// Forbidden tells whether Redis refused the call to its user.
func Forbidden(err error) bool {
	text, ok := replyOf(err)
	return ok && kindOf(text).means == forbidden
}

// moved tells whether the server that answered is not the primary any more.
func moved(err error) bool {
	text, ok := replyOf(err)
	return ok && kindOf(text).class == elsewhere
}

// replyOf is the answer of Redis that err holds.
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

// holds tells whether the words stand in a reply, wherever: a script and some
// proxies put their own words before the server's. A longer word that begins or
// ends so is another.
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
