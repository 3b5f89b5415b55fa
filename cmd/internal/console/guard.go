package console

import (
	"crypto/subtle"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"

	"github.com/scriptfleet/scriptfleet/pkg/panics"
)

// policy lets a page load the console's own files, and nothing else.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"

// guard refuses what does not come from a page of the console, in a browser of
// somebody who may see it.
func (c *Console) guard(next http.Handler) http.Handler {
	crossOrigin := http.NewCrossOriginProtection()
	crossOrigin.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c.fail(w, r, http.StatusForbidden, errors.New("this came from a page of another site, which may change nothing here"))
	}))
	inner := crossOrigin.Handler(next)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", policy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Cache-Control", "no-store")
		r.Body = http.MaxBytesReader(w, r.Body, maxBody)
		if !c.isHost(r.Host) {
			http.Error(w, "The console is not reached under this host; --host allows one more.", http.StatusMisdirectedRequest)
			return
		}
		if !c.admit(w, r) {
			return
		}
		panics.Guard{Log: c.log}.Catch(func() { inner.ServeHTTP(w, r) }, nil)
	})
}

// isHost tells whether host is the console's own. A page of another site whose
// name was made to lead here asks for that site's host.
func (c *Console) isHost(host string) bool {
	name := host
	if h, _, err := net.SplitHostPort(host); err == nil {
		name = h
	}
	name = strings.Trim(name, "[]")
	if ip := net.ParseIP(name); name == "localhost" || ip != nil && ip.IsLoopback() {
		return true
	}
	return slices.Contains(c.cfg.Hosts, host) || slices.Contains(c.cfg.Hosts, name)
}

// admit lets those in whom the proxy names, or who have the key. The address with
// the key sets a cookie, and leads on to the same address without it.
func (c *Console) admit(w http.ResponseWriter, r *http.Request) bool {
	if c.key == "" {
		if r.Header.Get(c.cfg.UserHeader) == "" {
			http.Error(w, fmt.Sprintf("The request names nobody in %s: reach the console by the proxy that logs people in.", c.cfg.UserHeader), http.StatusForbidden)
			return false
		}
		return true
	}
	_, port, _ := net.SplitHostPort(c.Addr())
	name := "scriptfleet-console-" + port
	if given := r.URL.Query().Get("key"); given != "" && r.Method == http.MethodGet {
		if !same(given, c.key) {
			http.Error(w, "This key is not the console's: it has a new one after each start, in the address that it prints.", http.StatusForbidden)
			return false
		}
		http.SetCookie(w, &http.Cookie{Name: name, Value: c.key, Path: "/", HttpOnly: true, SameSite: http.SameSiteLaxMode})
		rest := *r.URL
		query := rest.Query()
		query.Del("key")
		rest.RawQuery, rest.Scheme, rest.Host = query.Encode(), "", ""
		http.Redirect(w, r, "/"+strings.TrimLeft(rest.RequestURI(), "/"), http.StatusSeeOther)
		return false
	}
	for _, cookie := range r.CookiesNamed(name) {
		if same(cookie.Value, c.key) {
			return true
		}
	}
	http.Error(w, "The console needs its key: open the address that it printed at its start, which ends in ?key=…", http.StatusForbidden)
	return false
}

func same(a, b string) bool { return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1 }

// who is the person who sent the request.
func (c *Console) who(r *http.Request) string {
	if c.cfg.UserHeader == "" {
		return "whoever has the key"
	}
	return r.Header.Get(c.cfg.UserHeader)
}

// errReadOnly is the error of what a flag would allow.
type errReadOnly struct{ what, flag string }

func (e errReadOnly) Error() string {
	return fmt.Sprintf("This console does not %s: it was started without %s.", e.what, e.flag)
}

// mayRun fails where no run can be started.
func (c *Console) mayRun() error {
	if c.cfg.AllowRuns {
		return nil
	}
	return errReadOnly{"start runs", "--allow-runs"}
}

// mayChange fails where nothing can be changed.
func (c *Console) mayChange(what string) error {
	if c.cfg.AllowChanges {
		return nil
	}
	return errReadOnly{what, "--allow-changes"}
}
