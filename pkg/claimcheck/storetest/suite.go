// Package storetest holds implementations of claimcheck.Store to their
// contract.
package storetest

import (
	"bytes"
	"errors"
	"testing"

	"github.com/scriptfleet/scriptfleet/pkg/claimcheck"
)

// Run runs the contract on a store without keys under "storetest/".
func Run(t *testing.T, s claimcheck.Store) {
	t.Run("AnObjectIsReadAsItWasPut", func(t *testing.T) {
		for _, body := range [][]byte{{}, []byte("\x00\xff not text"), bytes.Repeat([]byte("x"), 3<<20)} {
			put(t, s, "storetest/a/object", body)
			got, err := s.Get(t.Context(), "storetest/a/object", 3<<20)
			if err != nil || !bytes.Equal(got, body) {
				t.Errorf("get = %d bytes, %v, want the %d that were put", len(got), err, len(body))
			}
		}
	})
	t.Run("AnObjectBeyondTheLimitIsRefused", func(t *testing.T) {
		put(t, s, "storetest/large", make([]byte, 101))
		if body, err := s.Get(t.Context(), "storetest/large", 100); !errors.Is(err, claimcheck.ErrTooLarge) {
			t.Errorf("get = %d bytes, %v, want ErrTooLarge", len(body), err)
		}
	})
	t.Run("AnObjectThatIsNotThereIsErrNoObject", func(t *testing.T) {
		if _, err := s.Get(t.Context(), "storetest/nothing", 100); !errors.Is(err, claimcheck.ErrNoObject) {
			t.Errorf("get = %v, want ErrNoObject", err)
		}
	})
}

func put(t *testing.T, s claimcheck.Store, key string, body []byte) {
	t.Helper()
	if err := s.Put(t.Context(), key, body); err != nil {
		t.Fatal(err)
	}
}
