package wire

import (
	"strings"
	"testing"
)

func TestCellsAreNamedWithTheirQueues(t *testing.T) {
	const us = "us=https://sqs.us-east-1.amazonaws.com/1/scriptfleet-requests"
	for _, c := range []struct {
		own    string
		others []string
		err    string
	}{
		{"", nil, ""},
		{"eu", []string{us}, ""},
		{"eu", nil, "give both"},
		{"", []string{us}, "give both"},
		{"us", []string{us}, "cell us itself"},
		{"eu", []string{us, us}, "there twice"},
		{"eu", []string{"us"}, "NAME=URL"},
		{"eu", []string{"us=scriptfleet-requests"}, "NAME=URL"},
		{"eu", []string{"=https://a/b"}, "NAME=URL"},
	} {
		urls, err := cellURLs(c.own, c.others)
		if c.err == "" && (err != nil || len(urls) != len(c.others)) || c.err != "" && (err == nil || !strings.Contains(err.Error(), c.err)) {
			t.Errorf("--cell %q --cells %q: %v, %v", c.own, c.others, urls, err)
		}
	}
}
