package console

import (
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
	OpenOf                                int64
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
	if err == nil && v.noFilter() {
		v.Open, err = l.Open(ctx, oldest)
		if err == nil {
			var books ledger.Books
			books, err = l.Books(ctx)
			v.OpenOf = books.Open
		}
	}
	if err != nil {
		c.away(w, r, err)
		return
	}
	v.cut(slices.DeleteFunc(kept, func(s ledger.Summary) bool { return !v.wants(s) }), q)
	c.show(w, r, "runs", "Runs", v)
}

func (v runsView) noFilter() bool {
	return v.Tenant+v.Status+v.Action+v.Script+v.Owner == ""
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
