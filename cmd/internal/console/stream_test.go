package console

import (
	"context"
	"errors"
	"net/http/httptest"
	"regexp"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

// Else the page would go on saying that the fleet does not answer.
func TestAPartIsSentAgainOnceTheFleetAnswersAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, w, asked := &Console{streams: make(chan struct{}, 1)}, httptest.NewRecorder(), 0
		r := httptest.NewRequestWithContext(t.Context(), "GET", "/", nil)
		c.stream(w, r, time.Second, func(context.Context) (string, bool, error) {
			if asked++; asked == 2 {
				return "", false, errors.New("no answer")
			}
			return "the same", asked == 3, nil
		})
		events := regexp.MustCompile(`(?m)^event: .*`).FindAllString(w.Body.String(), -1)
		if want := []string{"event: part", "event: away", "event: part", "event: end"}; !slices.Equal(events, want) {
			t.Errorf("%q, not %q", events, want)
		}
	})
}
