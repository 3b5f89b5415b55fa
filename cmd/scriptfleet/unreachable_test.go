package main

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/scriptfleet/scriptfleet/pkg/ledger"
)

func TestARedisThatHangsIsNamedWithWhatToDo(t *testing.T) {
	hangs := fmt.Errorf("read books: %w: %w", ledger.ErrUnavailable, os.ErrDeadlineExceeded)
	if got := gone(hangs); !errors.Is(got, hangs) || !strings.Contains(got.Error(), "REDIS_URL") || !strings.Contains(got.Error(), "/readyz") {
		t.Errorf("of a Redis that hangs: %v", got)
	}
	for _, other := range []error{os.ErrDeadlineExceeded, ledger.ErrUnavailable} {
		if got := gone(other); got != other {
			t.Errorf("%v became %v", other, got)
		}
	}
}
