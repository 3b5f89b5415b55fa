package console

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/scriptfleet/scriptfleet/cmd/internal/look"
	"github.com/scriptfleet/scriptfleet/cmd/internal/wire"
)

// Bounds of a look at the dead letters.
const (
	lookFor     = time.Second
	redriveFor  = 5 * time.Second
	maxLetters  = 200
	shownBody   = 64 << 10
	staleLetter = 10 * time.Minute
)

// letterBox has what the last look at the dead letters found. SQS shows messages
// only to who receives them, and hides them meanwhile: so the page looks when it
// is asked to.
type letterBox struct {
	fleet *wire.Fleet

	mu     sync.Mutex
	looked map[string]letterList
}

// letterList is what one queue had.
type letterList struct {
	At      time.Time
	Letters []look.Letter
	More    bool
}

func newLetterBox(fleet *wire.Fleet) *letterBox {
	return &letterBox{fleet: fleet, looked: map[string]letterList{}}
}

// last is what the last look found.
func (b *letterBox) last(queue string) letterList {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.looked[queue]
}

func (b *letterBox) keep(queue string, l letterList) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.looked[queue] = l
}

// look looks at a queue.
func (b *letterBox) look(ctx context.Context, queue string) (letterList, error) {
	all, err := look.OpenLetters(ctx, b.fleet, queue == "requests", lookFor)
	if err != nil {
		return letterList{}, err
	}
	l := letterList{At: time.Now()}
	seen := map[string]bool{}
	err = all.Each(ctx, func(found look.Letter) (bool, error) {
		if !seen[found.ID] {
			seen[found.ID] = true
			found.Body = found.Body[:min(len(found.Body), shownBody)]
			l.Letters = append(l.Letters, found)
		}
		l.More = len(l.Letters) >= maxLetters
		return !l.More, nil
	})
	if err == nil {
		slices.SortStableFunc(l.Letters, func(a, b look.Letter) int { return b.Since.Compare(a.Since) })
		b.keep(queue, l)
	}
	return l, err
}

// drop takes letters off the list.
func (b *letterBox) drop(queue string, gone map[string]bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	l := b.looked[queue]
	l.Letters = slices.DeleteFunc(slices.Clone(l.Letters), func(x look.Letter) bool { return gone[x.ID] })
	b.looked[queue] = l
}

// lettersView is the page of dead letters, and the page that asks whether letters
// are to be redriven.
type lettersView struct {
	Queue   string // partitions or requests
	Depths  map[string]int
	List    letterList
	Looked  bool
	Ask     []look.Letter // to be redriven
	All     bool          // with all others of the queue
	Said    []string      // what a redrive will do
	One     *look.Letter
	CutBody bool
}

// lettersOf is the queue that a request is about.
func lettersOf(r *http.Request) string {
	if r.FormValue("queue") == "requests" {
		return "requests"
	}
	return "partitions"
}

func (c *Console) lettersPage(w http.ResponseWriter, r *http.Request) {
	v := lettersView{Queue: lettersOf(r), Depths: map[string]int{}}
	v.List = c.letters.last(v.Queue)
	if r.URL.Query().Has("look") {
		var err error
		if v.List, err = c.letters.look(r.Context(), v.Queue); err != nil {
			c.away(w, r, err)
			return
		}
	}
	v.Looked = !v.List.At.IsZero() && time.Since(v.List.At) < staleLetter
	s, err := c.samples.last(r.Context())
	if err != nil {
		c.away(w, r, err)
		return
	}
	names := c.deps.Fleet.Names()
	for _, q := range s.status.Queues {
		switch q.Queue {
		case names.PartitionDLQ:
			v.Depths["partitions"] = q.Visible + q.InFlight + q.Delayed
		case names.RequestsDLQ:
			v.Depths["requests"] = q.Visible + q.InFlight + q.Delayed
		}
	}
	c.show(w, r, "letters", "Dead letters", v)
}

func (c *Console) letterPage(w http.ResponseWriter, r *http.Request) {
	queue := lettersOf(r)
	for _, l := range c.letters.last(queue).Letters {
		if l.ID == r.PathValue("id") {
			c.show(w, r, "letter", "Dead letter", lettersView{Queue: queue, One: &l, Ask: []look.Letter{l}, CutBody: len(l.Body) == shownBody})
			return
		}
	}
	c.fail(w, r, http.StatusNotFound, errors.New("the last look at the queue has not found this letter: look again"))
}

// redrive asks first, with what will happen, and does it when the form says that
// it was confirmed.
func (c *Console) redrive(w http.ResponseWriter, r *http.Request) {
	if err := c.mayChange("redrive dead letters"); err != nil {
		c.fail(w, r, http.StatusForbidden, err)
		return
	}
	if err := r.ParseForm(); err != nil {
		c.fail(w, r, http.StatusBadRequest, err)
		return
	}
	v := lettersView{Queue: lettersOf(r)}
	wanted := map[string]bool{}
	for _, id := range r.PostForm["letter"] {
		wanted[id] = true
	}
	for _, l := range c.letters.last(v.Queue).Letters {
		if wanted[l.ID] {
			v.Ask = append(v.Ask, l)
		}
	}
	if len(v.Ask) == 0 {
		c.fail(w, r, http.StatusConflict, errors.New("no letter was chosen that the last look at the queue has found: choose one, or look again"))
		return
	}
	if r.PostForm.Get("confirmed") == "" {
		v.Said = whatRedriveDoes(v.Ask)
		c.show(w, r, "redrive", "Send again", v)
		return
	}
	told, err := c.redriveAll(r, v)
	if err != nil {
		c.away(w, r, err)
		return
	}
	http.Redirect(w, r, "/letters?"+url.Values{"queue": {v.Queue}, "told": {c.notes.add(told)}}.Encode(), http.StatusSeeOther)
}

// whatRedriveDoes says it of the letters that were chosen.
func whatRedriveDoes(all []look.Letter) (said []string) {
	again, asIs := 0, 0
	for _, l := range all {
		if l.Answered() {
			again++
		} else {
			asIs++
		}
	}
	if again > 0 {
		said = append(said, fmt.Sprintf("%s had a result already, which stays. Each goes to the requests queue under a new id, its own with a suffix, and is executed again: what its script does in other systems, it does once more.", letters(again)))
	}
	if asIs > 0 {
		said = append(said, fmt.Sprintf("%s had no result. Each goes to the requests queue as it is; if it is refused again, it comes back here.", letters(asIs)))
	}
	return append(said, "A letter that was sent leaves this queue.")
}

func letters(n int) string {
	if n == 1 {
		return "One letter"
	}
	return fmt.Sprintf("%d letters", n)
}

func (c *Console) redriveAll(r *http.Request, v lettersView) (told string, err error) {
	all, err := look.OpenLetters(r.Context(), c.deps.Fleet, v.Queue == "requests", redriveFor)
	if err != nil {
		return "", err
	}
	choice, gone := look.Choice{}, map[string]bool{}
	for _, l := range v.Ask {
		choice.IDs = append(choice.IDs, l.ID)
	}
	missed, err := all.Pick(r.Context(), choice, func(l look.Letter) error {
		sent, err := all.Redrive(r.Context(), l)
		if err == nil {
			gone[l.ID] = true
			c.change(r, "sent a dead letter again", zap.String("letter", l.ID), zap.String("tenant", l.Tenant), zap.String("request", l.Run), zap.String("under", sent.Run))
		}
		return err
	})
	c.letters.drop(v.Queue, gone)
	told = fmt.Sprintf("Sent again: %d.", len(gone))
	if missed > 0 {
		told += fmt.Sprintf(" Not seen in %s: %d; look again.", redriveFor, missed)
	}
	return told, err
}
