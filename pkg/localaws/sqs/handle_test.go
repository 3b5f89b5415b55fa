package sqs

import (
	"math"
	"strings"
	"testing"
)

func TestHandlesHoldNoHyphen(t *testing.T) {
	h := handle{seq: math.MaxUint64, epoch: math.MaxUint32, receipt: 0xFBEFBEFB, tag: 0xFBEFBEFBEFBEFBEF}
	if s := h.String(); strings.Contains(s, "-") {
		t.Errorf("%s would be cut at its hyphen by the official extended client for Python", s)
	}
	if got := mustParse(t, h.String()); got != h {
		t.Errorf("the handle is read as %+v, not %+v", got, h)
	}
}
