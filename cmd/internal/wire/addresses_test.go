package wire

import (
	"slices"
	"strings"
	"testing"
)

func TestAnAddressThatCannotBeReadIsRefusedInOneOfThreeSentences(t *testing.T) {
	for text, want := range map[string]error{
		"redis://:secret@127.0.0.1:6379/0":            nil,
		"redis://user:s%2Fec%40ret@redis.internal:1":  nil,
		"rediss://:secret@redis.internal:6379/3?db=4": nil,
		"redis://127.0.0.1:6379":                      nil,
		"redis://:S3cr%t-Pass@127.0.0.1:6379/0":       errRedisForm, // no escape
		"redis://:se/cret@127.0.0.1:6379/0":           errRedisForm, // the host would be :se
		"redis://se/cret@127.0.0.1:6379/0":            errRedisForm,
		"redis://:se?cret@127.0.0.1:6379/0":           errRedisForm,
		"redis://secret#more@127.0.0.1:6379":          errRedisForm, // the host would be secret
		"redis://127.0.0.1:6379/0#secret":             errRedisForm,
		"redis://:a@secret/x@127.0.0.1":               errRedisForm,
		"redis://:secret@127.0.0.1:port":              errRedisForm,
		"redis://:sec ret@127.0.0.1:6379":             errRedisForm,
		"redis://:secret\n@127.0.0.1:6379":            errRedisForm,
		"redis://:secret@[::1":                        errRedisForm,
		"secret:word@127.0.0.1:6379":                  errRedisScheme,
		"http://:secret@127.0.0.1:6379":               errRedisScheme,
		"secret":                                      errRedisScheme,
		"redis://:secret@127.0.0.1:6379/secret":       errRedisRest,
		"redis://:secret@127.0.0.1:6379/0?secret=1":   errRedisRest,
		"redis://:secret@127.0.0.1:6379/0?db=secret":  errRedisRest,
	} {
		if _, err := redisOptions(text); err != want {
			t.Errorf("%q: %v, not %v", text, err, want)
		}
	}
}

func TestAnEndpointWithAPasswordIsRefusedWithoutIt(t *testing.T) {
	for value, ok := range map[string]bool{
		"http://127.0.0.1:4566": true, "https://sqs.eu-west-1.amazonaws.com": true, "": true,
		"http://user:secret@127.0.0.1:4566": false, "http://us%er:secret@127.0.0.1:4566": false, "http://secret@host": false,
		"secret": false, "ftp://secret": false, "http://": false, "http://user:sec/ret@host": false,
	} {
		for _, name := range []string{"AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_LAMBDA"} {
			err := checkEndpoints([]string{"PATH=@secret", name + "=" + value})
			if (err == nil) != ok {
				t.Errorf("%s=%s: %v", name, value, err)
			}
			if err != nil && (strings.Contains(err.Error(), "sec") || !strings.HasPrefix(err.Error(), name+" ")) {
				t.Errorf("%s=%s: %v", name, value, err)
			}
		}
	}
}

// FuzzNoPasswordOfRedisIsTold puts a password into an address as it is: what is
// told is one of the sentences, and the host that is called is the one behind it.
func FuzzNoPasswordOfRedisIsTold(f *testing.F) {
	for _, seed := range []string{"secret", "S3cr%t-Pass", "a/b", "a@b", "a@b?client_name=", "#", "99?client_name=", "%", "\x00", "[::1", "a@127.0.0.1:1/0?"} {
		f.Add(seed)
	}
	told := []error{errRedisForm, errRedisScheme, errRedisRest}
	f.Fuzz(func(t *testing.T, password string) {
		for _, before := range []string{"redis://:", "redis://user:", "redis://", ""} {
			options, err := redisOptions(before + password + "@host.test:1/0")
			switch {
			case err == nil && options.Addr != "host.test:1":
				t.Errorf("%q is taken for the host of %q", options.Addr, password)
			case err != nil && !slices.Contains(told, err):
				t.Errorf("%q: %v", password, err)
			}
		}
	})
}
