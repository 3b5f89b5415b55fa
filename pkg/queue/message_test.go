package queue_test

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/scriptfleet/scriptfleet/pkg/queue"
)

func TestValidateRefusesWhatSQSWouldRefuse(t *testing.T) {
	attributes := func(n int) map[string]string {
		all := map[string]string{}
		for i := range n {
			all[fmt.Sprint("a", i)] = "x"
		}
		return all
	}
	full := []byte(strings.Repeat("x", queue.MaxMessageBytes))
	for _, c := range []struct {
		name string
		m    queue.Message
		want error
	}{
		{"a plain one", queue.Message{Body: []byte("x")}, nil},
		{"one that fills a call", queue.Message{Body: full}, nil},
		{"a byte more", queue.Message{Body: append(slices.Clone(full), 'x')}, queue.ErrTooLarge},
		{"attributes beyond the size", queue.Message{Body: full, Attributes: attributes(1)}, queue.ErrTooLarge},
		{"no body", queue.Message{}, queue.ErrInvalid},
		{"ten attributes", queue.Message{Body: []byte("x"), Attributes: attributes(10)}, nil},
		{"eleven attributes", queue.Message{Body: []byte("x"), Attributes: attributes(11)}, queue.ErrInvalid},
		{"an empty attribute", queue.Message{Body: []byte("x"), Attributes: map[string]string{"a": ""}}, queue.ErrInvalid},
		{"a NUL in an attribute", queue.Message{Body: []byte("x"), Attributes: map[string]string{"a": "\x00"}}, queue.ErrInvalid},
		{"the longest delay", queue.Message{Body: []byte("x"), Delay: queue.MaxDelay}, nil},
		{"a longer one", queue.Message{Body: []byte("x"), Delay: queue.MaxDelay + time.Second}, queue.ErrInvalid},
		{"a negative one", queue.Message{Body: []byte("x"), Delay: -1}, queue.ErrInvalid},
		{"a long group", queue.Message{Body: []byte("x"), Group: strings.Repeat("g", 129)}, queue.ErrInvalid},
		{"a NUL", queue.Message{Body: []byte("a\x00b")}, queue.ErrInvalid},
		{"what is not UTF-8", queue.Message{Body: []byte("a\xffb")}, queue.ErrInvalid},
		{"a surrogate", queue.Message{Body: []byte("\xed\xa0\x80")}, queue.ErrInvalid},
		{"a noncharacter", queue.Message{Body: []byte("\uffff")}, queue.ErrInvalid},
		{"white space, and all planes", queue.Message{Body: []byte("\t\n\r é 汉 🙂 \ufffd")}, nil},
	} {
		if err := c.m.Validate(queue.MaxMessageBytes); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
	}
}

// SQS takes the characters of XML 1.0, so this test compares with encoding/xml.
func FuzzCharactersAreThoseOfXML(f *testing.F) {
	for _, s := range []string{"x", "\x00", "\x7f", "\ufffe", "\xff", "é🙂", "\t\r\n"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, body string) {
		if body == "" || len(body) > 1000 {
			return
		}
		var escaped strings.Builder
		escaped.WriteString("<a>")
		for _, r := range body { // XML escapes these characters
			switch r {
			case '<', '>', '&':
				r = 'x'
			}
			escaped.WriteRune(r)
		}
		escaped.WriteString("</a>")
		takes := queue.Message{Body: []byte(body)}.Validate(queue.MaxMessageBytes) == nil
		if wants := utf8.ValidString(body) && parses(escaped.String()); takes != wants {
			t.Errorf("%q: valid %v, XML %v", body, takes, wants)
		}
	})
}

func parses(s string) bool {
	d := xml.NewDecoder(strings.NewReader(s))
	for {
		if _, err := d.Token(); err != nil {
			return errors.Is(err, io.EOF)
		}
	}
}

func TestNamesAreThoseThatAreFixed(t *testing.T) {
	n := queue.NamesOf("fleet", 2)
	want := []string{
		"fleet-requests-dlq", "fleet-partition-dlq", "fleet-requests",
		"fleet-partition-0", "fleet-partition-1", "fleet-partition-side", "fleet-results",
	}
	if !slices.Equal(n.All(), want) {
		t.Errorf("names %v, want %v", n.All(), want)
	}
	redrives := n.Redrives()
	if len(redrives) != 4 || redrives["fleet-partition-side"] != "fleet-partition-dlq" || redrives["fleet-requests"] != "fleet-requests-dlq" {
		t.Errorf("redrives %v", redrives)
	}
}
