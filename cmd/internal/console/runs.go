package console

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/scriptfleet/scriptfleet/pkg/ledger"
	"github.com/scriptfleet/scriptfleet/pkg/run"
)

const (
	onePage = 50   // rows
	latest  = 1000 // runs of all tenants that a filter looks at
	oldest  = 20   // open runs that the page shows
	among   = 500  // open runs, the oldest, that a filter looks at
)

// runsView is the page of recent runs.
type runsView struct {
	Tenant, Status, Action, Script, Owner string // the filters
	Statuses                              []run.Status
	Owners                                []run.Owner
	Found                                 []ledger.Summary
	From, To, Of                          int // the rows of this page, from 1
	Newer, Older                          string
	Searched                              string // what was looked at
	Open                                  []ledger.Record
	OpenSaid                              string // how many are open; empty where none is to be shown
}

func (c *Console) runsPage(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	if id := strings.TrimSpace(q.Get("run")); id != "" {
		http.Redirect(w, r, runPath(run.Key(id), q.Get("tenant")), http.StatusSeeOther)
		return
	}
	v := runsView{
		Tenant: strings.TrimSpace(q.Get("tenant")), Status: q.Get("status"), Action: strings.TrimSpace(q.Get("action")),
		Script: strings.TrimSpace(q.Get("script")), Owner: q.Get("owner"),
		Statuses: run.Statuses, Owners: []run.Owner{run.OwnerAuthor, run.OwnerOperator, run.OwnerPlatform},
	}
	ctx, l := r.Context(), c.deps.Fleet.Ledger
	var kept []ledger.Summary
	var err error
	switch {
	case v.Tenant != "":
		kept, err = l.Recent(ctx, v.Tenant)
		v.Searched = "the last runs of tenant " + v.Tenant + " that the fleet keeps"
	case v.Status != "" && v.Status != string(run.Succeeded) || v.Owner != "":
		kept, err = l.Latest(ctx, true, latest)
		v.Searched = "the last " + count(latest) + " runs of all tenants that did not succeed"
	default:
		kept, err = l.Latest(ctx, false, latest)
		v.Searched = "the last " + count(latest) + " runs of all tenants"
	}
	if err == nil && v.Status+v.Script+v.Owner == "" {
		err = v.addOpen(ctx, l)
	}
	if err != nil {
		c.away(w, r, err)
		return
	}
	v.cut(slices.DeleteFunc(kept, func(s ledger.Summary) bool { return !v.wants(s) }), q)
	c.show(w, r, "runs", "Runs", v)
}

// addOpen adds the open runs, of the tenant and the action that are filtered for.
func (v *runsView) addOpen(ctx context.Context, l ledger.Ledger) error {
	limit := oldest
	if v.Tenant+v.Action != "" {
		limit = among
	}
	open, err := l.Open(ctx, limit)
	if err != nil {
		return err
	}
	found := slices.DeleteFunc(open, func(r ledger.Record) bool {
		return v.Tenant != "" && r.Entry.Tenant != v.Tenant || v.Action != "" && r.Entry.Action != v.Action
	})
	v.Open = found[:min(len(found), oldest)]
	var all int64
	switch {
	case v.Action != "":
		if len(found) > 0 {
			v.OpenSaid = fmt.Sprintf("%s among the oldest %s of all tenants", count(len(found)), count(among))
		}
		return nil
	case v.Tenant != "":
		backlogs, err := l.Backlogs(ctx, []string{v.Tenant})
		if err != nil {
			return err
		}
		all = int64(backlogs[0])
	default:
		books, err := l.Books(ctx)
		if err != nil {
			return err
		}
		all = books.Open
	}
	switch {
	case all == 0 && len(found) == 0:
	case v.Tenant != "" && all > int64(len(found)):
		v.OpenSaid = fmt.Sprintf("%s in all, of which %s among the oldest %s of all tenants", count(all), count(len(found)), count(among))
	default:
		v.OpenSaid = count(max(all, int64(len(found)))) + " in all, the oldest first"
	}
	return nil
}

func (v runsView) wants(s ledger.Summary) bool {
	return (v.Status == "" || string(s.Status) == v.Status) && (v.Action == "" || s.Action == v.Action) &&
		strings.HasPrefix(string(s.Script), v.Script) && (v.Owner == "" || string(s.ErrorOwner) == v.Owner)
}

// cut leaves one page of what was found.
func (v *runsView) cut(found []ledger.Summary, q url.Values) {
	from, _ := strconv.Atoi(q.Get("from"))
	from = max(0, min(from, len(found)))
	to := min(from+onePage, len(found))
	v.Found, v.From, v.To, v.Of = found[from:to], from+1, to, len(found)
	at := func(n int) string {
		q.Set("from", strconv.Itoa(n))
		return "/runs?" + q.Encode()
	}
	if from > 0 {
		v.Newer = at(max(0, from-onePage))
	}
	if to < len(found) {
		v.Older = at(to)
	}
}
