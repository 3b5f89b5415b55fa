package console

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"html/template"
	"io/fs"
	"mime"
	"net/http"
	"path"
	"strings"
	"time"

	"go.uber.org/zap"

	"github.com/scriptfleet/scriptfleet/cmd/internal/escape"
	"github.com/scriptfleet/scriptfleet/pkg/run"
)

var (
	//go:embed pages
	pageFiles embed.FS
	//go:embed static
	staticFiles embed.FS
)

// pages renders templates and serves files.
type pages struct {
	console   *Console
	templates map[string]*template.Template // by page
	files     map[string]file
}

type file struct {
	content []byte
	kind    string
	version string // of its content, in its address
}

func newPages(c *Console) *pages {
	p := &pages{console: c, templates: map[string]*template.Template{}, files: map[string]file{}}
	entries, err := fs.ReadDir(staticFiles, "static")
	must(err)
	for _, e := range entries {
		content, err := staticFiles.ReadFile("static/" + e.Name())
		must(err)
		sum := sha256.Sum256(content)
		p.files[e.Name()] = file{content, mime.TypeByExtension(path.Ext(e.Name())), hex.EncodeToString(sum[:6])}
	}
	shared := template.Must(template.New("").Funcs(p.functions()).ParseFS(pageFiles, "pages/shared/*.html"))
	entries, err = fs.ReadDir(pageFiles, "pages")
	must(err)
	for _, e := range entries {
		if e.IsDir() {
			continue
		}
		name := strings.TrimSuffix(e.Name(), ".html")
		p.templates[name] = template.Must(template.Must(shared.Clone()).ParseFS(pageFiles, "pages/"+e.Name()))
	}
	return p
}

// must panics for what is in the binary.
func must(err error) {
	if err != nil {
		panic(err)
	}
}

func (p *pages) functions() template.FuncMap {
	return template.FuncMap{
		"file":    func(name string) string { return "/static/" + name + "?v=" + p.files[name].version },
		"text":    func(v any) string { return escape.But(fmt.Sprint(v), "\n\t") },
		"line":    func(v any) string { return escape.Text(fmt.Sprint(v)) },
		"ms":      ms,
		"ago":     ago,
		"clock":   func(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 UTC") },
		"count":   countAny,
		"percent": func(part float64) float64 { return 100 * part },
		"list":    func(all ...string) []string { return all },
		"words":   func(v any) string { return strings.ReplaceAll(fmt.Sprint(v), "_", " ") },
		"bar":     timeBar,
		"class":   statusClass,
		"short":   func(v any) string { s := fmt.Sprint(v); return s[:min(len(s), 10)] },
	}
}

// ms is a time in milliseconds, as short as it can be read.
func ms(n int64) string {
	switch {
	case n < 10_000:
		return fmt.Sprintf("%s ms", count(n))
	case n < 120_000:
		return fmt.Sprintf("%.1f s", float64(n)/1000)
	}
	return (time.Duration(n) * time.Millisecond).Round(time.Second).String()
}

// count is a number with its thousands apart.
func count[N int | int64](n N) string {
	digits := fmt.Sprint(n)
	for i := len(digits) - 3; i > 0 && digits[i-1] != '-'; i -= 3 {
		digits = digits[:i] + "\u202f" + digits[i:]
	}
	return digits
}

// number is how many there are of a noun.
func number(n int64, noun string) string {
	if n != 1 {
		noun += "s"
	}
	return count(n) + " " + noun
}

// countAny is count for templates.
func countAny(v any) string {
	switch n := v.(type) {
	case int:
		return count(n)
	case int64:
		return count(n)
	case *int:
		return count(*n)
	}
	return fmt.Sprint(v)
}

// ago is the time that has passed since t.
func ago(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	d := time.Since(t)
	switch {
	case d < 2*time.Second:
		return "just now"
	case d < 2*time.Minute:
		return fmt.Sprintf("%d s ago", int(d.Seconds()))
	case d < 2*time.Hour:
		return fmt.Sprintf("%d min ago", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h ago", int(d.Hours()))
	}
	return fmt.Sprintf("%d days ago", int(d.Hours()/24))
}

// statusClass is the colour of a status.
func statusClass(status run.Status) string {
	switch status {
	case run.Succeeded:
		return "good"
	case run.Cancelled, run.Expired, "":
		return "quiet"
	case run.PlatformError:
		return "bad"
	}
	return "warn"
}

// page is what the layout needs, around a page's own data.
type page struct {
	Title, At    string // At is the path of the page's entry in the navigation
	Where        string
	Who          string
	AllowRuns    bool
	AllowChanges bool
	Told         string // what the person's last act did
	Data         any
}

// show renders a page.
func (c *Console) show(w http.ResponseWriter, r *http.Request, name, title string, data any) {
	c.render(w, r, http.StatusOK, name, title, data)
}

func (c *Console) render(w http.ResponseWriter, r *http.Request, status int, name, title string, data any) {
	at := "/" + strings.SplitN(strings.TrimPrefix(r.URL.Path, "/"), "/", 2)[0]
	p := page{
		Title: title, At: at, Where: c.deps.Fleet.Where(), AllowRuns: c.cfg.AllowRuns, AllowChanges: c.cfg.AllowChanges,
		Told: c.notes.get(r.URL.Query().Get("told")), Data: data,
	}
	if c.cfg.UserHeader != "" {
		p.Who = c.who(r)
	}
	var b bytes.Buffer
	if err := c.pages.templates[name].ExecuteTemplate(&b, "layout", p); err != nil {
		c.log.Error("console: a page cannot be rendered", zap.String("page", name), zap.Error(err))
		http.Error(w, "The page cannot be rendered; the console's log says why.", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write(b.Bytes())
}

// part renders a template of a page alone.
func (p *pages) part(name, part string, data any) (string, error) {
	var b bytes.Buffer
	err := p.templates[name].ExecuteTemplate(&b, part, data)
	return b.String(), err
}

// wantsJSON tells whether console.js sent the request.
func wantsJSON(r *http.Request) bool { return r.Header.Get("Accept") == "application/json" }

func answerJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v)
}

// fail shows an error.
func (c *Console) fail(w http.ResponseWriter, r *http.Request, status int, err error) {
	if readOnly := (errReadOnly{}); errors.As(err, &readOnly) {
		status = http.StatusForbidden
	}
	if status >= http.StatusInternalServerError {
		c.log.Warn("console: a page failed", zap.String("path", r.URL.Path), zap.Error(err))
	}
	text := strings.ToUpper(err.Error()[:1]) + err.Error()[1:]
	if wantsJSON(r) {
		answerJSON(w, status, map[string]string{"error": text})
		return
	}
	c.render(w, r, status, "error", http.StatusText(status), text)
}

// away shows that the fleet does not answer.
func (c *Console) away(w http.ResponseWriter, r *http.Request, err error) {
	c.fail(w, r, http.StatusBadGateway, fmt.Errorf("the fleet does not answer: %w", err))
}

func (p *pages) static(w http.ResponseWriter, r *http.Request) {
	f, ok := p.files[r.PathValue("file")]
	if !ok {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Content-Type", f.kind)
	w.Header().Set("Cache-Control", "private, max-age=31536000, immutable")
	_, _ = w.Write(f.content)
}
