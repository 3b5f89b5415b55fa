package console

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"
)

// A stream ends after this time; the browser then asks again by itself.
const maxStream = 10 * time.Minute

// errStreams is the error of a live part while too many are open.
var errStreams = fmt.Errorf("%d live parts are open already: close a page, or reload this one later", maxStreams)

// stream sends a part as server-sent events: at once, and each time that it
// differs when it is rendered again. It ends after the part for which render
// says that it is the last.
func (c *Console) stream(w http.ResponseWriter, r *http.Request, every time.Duration, render func(context.Context) (part string, last bool, err error)) {
	select {
	case c.streams <- struct{}{}:
		defer func() { <-c.streams }()
	default:
		c.fail(w, r, http.StatusServiceUnavailable, errStreams)
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), maxStream)
	defer cancel()
	out := http.NewResponseController(w)
	_ = out.SetReadDeadline(time.Time{})
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("X-Accel-Buffering", "no") // a proxy must not collect events
	tick := time.NewTicker(every)
	defer tick.Stop()
	before, quiet := "", time.Now()
	for {
		part, last, err := render(ctx)
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			before = "" // what the page says then goes with the next part
			if send(w, out, "away", "The fleet does not answer; trying again. "+err.Error()) != nil {
				return
			}
		case part != before:
			if send(w, out, "part", part) != nil {
				return
			}
			before, quiet = part, time.Now()
		case time.Since(quiet) > 15*time.Second:
			if send(w, out, "still", "") != nil { // keeps proxies from ending the connection
				return
			}
			quiet = time.Now()
		}
		if last && err == nil {
			_ = send(w, out, "end", "")
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// send writes an event; its data is a JSON string, so that it is one line.
func send(w http.ResponseWriter, out *http.ResponseController, event, data string) error {
	text, err := json.Marshal(data)
	if err != nil {
		return err
	}
	_ = out.SetWriteDeadline(time.Now().Add(10 * time.Second))
	if _, err := fmt.Fprintf(w, "event: %s\ndata: %s\n\n", event, text); err != nil {
		return err
	}
	if err := out.Flush(); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return err
	}
	return nil
}
