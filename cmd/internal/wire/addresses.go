package wire

import (
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/redis/go-redis/v9"
)

// An address in the settings may contain a password, and the password may be what
// cannot be parsed: so errors name the setting, and never quote its value.
var (
	errRedisForm = errors.New("--redis-url (REDIS_URL) can't be read: write it as redis://user:password@host:6379/0, rediss:// for TLS, " +
		"with %XX in place of each character of the password that is neither a letter, a digit, nor one of - . _ ~")
	errRedisScheme = errors.New("--redis-url (REDIS_URL) has to begin with redis:// or, for TLS, rediss://; of Redis behind Sentinels, name an address that follows the primary")
	errRedisRest   = errors.New("--redis-url (REDIS_URL) has a database or a parameter that can't be read: write it as redis://user:password@host:6379/0")
)

// redisOptions parses the address of Redis.
func redisOptions(text string) (*redis.Options, error) {
	u, err := url.Parse(text)
	switch {
	case !strings.HasPrefix(text, "redis://") && !strings.HasPrefix(text, "rediss://") && !strings.HasPrefix(text, "unix://"):
		return nil, errRedisScheme
	case err != nil, u.Fragment != "", !isHostOf(u, text):
		return nil, errRedisForm
	}
	options, err := redis.ParseURL(text)
	if err != nil {
		return nil, errRedisRest
	}
	return options, nil
}

// isHostOf tells whether the host is the text after the last @. Otherwise a part of
// a password with / or ? in it was parsed as the host, and errors would quote it.
func isHostOf(u *url.URL, text string) bool {
	at := strings.LastIndexByte(text, '@')
	return at < 0 || u.User != nil && strings.HasPrefix(text[at+1:], u.Host)
}

// checkEndpoints refuses addresses of AWS that cannot be parsed or that contain a
// password, because the SDK's errors quote them.
func checkEndpoints(environment []string) error {
	for _, line := range environment {
		name, value, _ := strings.Cut(line, "=")
		if value == "" || name != "AWS_ENDPOINT_URL" && !strings.HasPrefix(name, "AWS_ENDPOINT_URL_") {
			continue
		}
		if err := checkEndpoint(name, value); err != nil {
			return err
		}
	}
	return nil
}

func checkEndpoint(name, value string) error {
	u, err := url.Parse(value)
	switch {
	case err != nil, u.Scheme != "http" && u.Scheme != "https", u.Host == "":
		return fmt.Errorf("%s can't be read: write it as http://host:port or https://host", name)
	case u.User != nil, strings.Contains(value, "@"):
		return fmt.Errorf("%s has a user or a password in it, which AWS does not use: leave them out, and set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY", name)
	}
	return nil
}
