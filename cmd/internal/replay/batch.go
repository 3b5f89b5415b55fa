package replay

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
)

// maxLine bounds a line of a batch, 32 MiB: what a queue takes, and large
// bodies that travel by claim check.
const maxLine = 32 << 20

// ReadBatch reads requests, one JSON event per line, and skips blank lines. Its
// errors name the line. With allowInvalid, an invalid line becomes an event
// that is sent unchanged.
func ReadBatch(r io.Reader, allowInvalid bool) ([]*Event, error) {
	lines := bufio.NewScanner(r)
	lines.Buffer(make([]byte, 64<<10), maxLine)
	var events []*Event
	places := map[[3]string]int{}
	number := 0
	for lines.Scan() {
		number++
		line := bytes.TrimSpace(lines.Bytes())
		if len(line) == 0 {
			continue
		}
		e, err := ParseEvent(bytes.Clone(line))
		switch {
		case err != nil && allowInvalid:
			e = invalidEvent(bytes.Clone(line))
		case err != nil:
			return nil, fmt.Errorf("line %d: %w", number, err)
		}
		if id, ok := e.target(); ok {
			if place, known := places[[3]string{e.Tenant, e.source, id}]; known {
				e.cancels = &place
			}
		}
		places[[3]string{e.Tenant, e.source, e.id}] = len(events)
		events = append(events, e)
	}
	switch err := lines.Err(); {
	case errors.Is(err, bufio.ErrTooLong):
		return nil, fmt.Errorf("line %d: longer than %d MiB", number+1, maxLine>>20)
	case err != nil:
		return nil, fmt.Errorf("line %d: %w", number+1, err)
	case len(events) == 0:
		return nil, errors.New("no request in it: write one JSON event a line")
	}
	return events, nil
}
