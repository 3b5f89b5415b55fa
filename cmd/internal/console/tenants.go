package console

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"go.uber.org/zap"

	"github.com/scriptfleet/scriptfleet/cmd/internal/look"
	"github.com/scriptfleet/scriptfleet/pkg/tenant"
)

// tenantsView is the page of tenants.
type tenantsView struct {
	Search, State string
	Shown         []look.Tenant
	From, To, Of  int
	Before, After string // the addresses of the pages beside this one
	File          string // the settings file; empty for none
	May           bool   // tenants can be paused from here
}

func (c *Console) tenantsPage(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	v := tenantsView{Search: strings.TrimSpace(q.Get("search")), State: q.Get("state"), File: c.deps.Fleet.Settings.TenantsFile}
	v.May = c.cfg.AllowChanges && v.File != ""
	s, err := c.samples.last(r.Context())
	if err != nil {
		c.away(w, r, err)
		return
	}
	settings := c.settings()
	names := knownTenants(settings, s, v.Search)
	if v.State != "" {
		names = slices.DeleteFunc(names, func(name string) bool { return look.LimitsOf(settings, name).State != v.State })
	}
	from, _ := strconv.Atoi(q.Get("from"))
	from = max(0, min(from, len(names)))
	to := min(from+onePage, len(names))
	if v.Shown, err = look.TenantsNamed(r.Context(), c.deps.Fleet, settings, names[from:to]); err != nil {
		c.away(w, r, err)
		return
	}
	v.From, v.To, v.Of = from+1, to, len(names)
	at := func(n int) string {
		return "/tenants?" + url.Values{"search": {v.Search}, "state": {v.State}, "from": {strconv.Itoa(n)}}.Encode()
	}
	if from > 0 {
		v.Before = at(max(0, from-onePage))
	}
	if to < len(names) {
		v.After = at(to)
	}
	c.show(w, r, "tenants", "Tenants", v)
}

// knownTenants are the tenants whose names have search in them: those that the
// settings name, that have open runs, or that had a run among the latest. Those
// with the most open runs come first.
func knownTenants(settings *tenant.Settings, s *sample, search string) []string {
	var names []string
	add := func(name string) {
		if strings.Contains(name, search) {
			names = append(names, name)
		}
	}
	for _, name := range settings.Names() {
		add(name)
	}
	for name := range s.backlogs {
		add(name)
	}
	for name := range s.tenants {
		add(name)
	}
	slices.Sort(names)
	names = slices.Compact(names)
	if len(names) == 0 && search != "" {
		names = []string{search} // its limits are the defaults
	}
	slices.SortStableFunc(names, func(a, b string) int { return cmp.Compare(s.backlogs[b], s.backlogs[a]) })
	return names
}

// acts are what can be done with a tenant.
var acts = map[string]struct {
	change func(*tenant.Draft, string) error
	did    string
}{
	"pause":  {(*tenant.Draft).Pause, "is paused: within seconds its runs wait, and those that execute end by themselves"},
	"resume": {(*tenant.Draft).Resume, "goes on: within seconds its runs are taken up"},
}

// edit is an edit of the settings that the fleet has not read yet.
type edit struct{ before, after *tenant.Settings }

// edited keeps the settings after an edit, until the fleet's own have been read
// again.
func (c *Console) edited(file string) {
	before := c.deps.Fleet.Tenants().Settings()
	if read, err := tenant.New(tenant.Config{Path: file}, tenant.Deps{}); err == nil {
		c.lastEdit.Store(&edit{before, read.Settings()})
	}
}

// settings are the tenants' settings, with the last edit made here.
func (c *Console) settings() *tenant.Settings {
	now := c.deps.Fleet.Tenants().Settings()
	if e := c.lastEdit.Load(); e != nil && e.before == now {
		return e.after
	}
	return now
}

func (c *Console) editTenant(w http.ResponseWriter, r *http.Request) {
	act, ok := acts[r.PathValue("act")]
	name := strings.TrimSpace(r.FormValue("tenant"))
	switch err := c.mayChange("pause and resume tenants"); {
	case !ok:
		http.NotFound(w, r)
		return
	case err != nil:
		c.fail(w, r, http.StatusForbidden, err)
		return
	case name == "":
		c.fail(w, r, http.StatusBadRequest, errors.New("the form names no tenant"))
		return
	}
	file := c.deps.Fleet.Settings.TenantsFile
	if file == "" {
		c.fail(w, r, http.StatusConflict, errors.New("no file of the tenants' settings is named: start the console with --tenants FILE, the file that dispatcher and worker have"))
		return
	}
	if err := tenant.Edit(file, func(d *tenant.Draft) error { return act.change(d, name) }); err != nil {
		c.fail(w, r, http.StatusConflict, err)
		return
	}
	c.change(r, r.PathValue("act")+"d a tenant", zap.String("tenant", name), zap.String("file", file))
	c.edited(file)
	http.Redirect(w, r, "/tenants?"+url.Values{"search": {r.FormValue("search")}, "told": {c.notes.add(fmt.Sprintf("Tenant %s %s.", name, act.did))}}.Encode(), http.StatusSeeOther)
}
