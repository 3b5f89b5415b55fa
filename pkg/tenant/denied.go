package tenant

import (
	"fmt"
	"slices"
	"strings"

	"github.com/scriptfleet/scriptfleet/pkg/run"
)

// Denied are the packages that no layer of the fleet may have.
func (s *Settings) Denied() run.Denied { return s.denied }

// Denied is Settings().Denied.
func (f *File) Denied() run.Denied { return f.Settings().Denied() }

// readDenied reads "denied_packages".
func (s *Settings) readDenied(p parser, path string) error {
	ask, packages := "", map[string]string{}
	err := p.object(path, func(key, path string) (err error) {
		switch key {
		case "ask":
			ask, err = p.line(path)
		case "packages":
			err = p.object(path, func(entry, path string) (err error) {
				if packages[entry], err = p.line(path); err != nil {
					return err
				}
				if _, err := run.DeniedEntry(entry); err != nil {
					return &fault{path, err.Error()}
				}
				return nil
			})
		default:
			err = unknownField(path)
		}
		return err
	})
	if err != nil {
		return err
	}
	s.denied, err = run.NewDenied(ask, packages)
	return err
}

// line reads a text that is shown to authors.
func (p parser) line(path string) (string, error) {
	v, err := p.text(path)
	if err == nil && (len(v) > 500 || strings.ContainsFunc(v, func(r rune) bool { return r < ' ' || r == 0x7f })) {
		err = &fault{path, "must be one line of 500 bytes at most"}
	}
	return v, err
}

// Deny adds a package to the denied ones, or changes the reason. An empty ask
// leaves whom to ask as it is.
func (d *Draft) Deny(text, reason, ask string) error {
	entry, err := run.DeniedEntry(text)
	if err != nil {
		return fmt.Errorf("deny %q: %w", text, err)
	}
	return d.top.in("denied_packages", func(denied *object) error {
		if ask != "" {
			denied.set("ask", mustJSON(ask))
		}
		return denied.in("packages", func(all *object) error {
			all.drop(entry)
			all.set(entry, mustJSON(reason))
			return nil
		})
	})
}

// Allow takes a package off the denied ones. It fails if it is not there.
func (d *Draft) Allow(text string) error {
	entry, err := run.DeniedEntry(text)
	if err != nil {
		return fmt.Errorf("allow %q: %w", text, err)
	}
	if !slices.Contains(d.settings.Denied().Entries(), entry) {
		return fmt.Errorf("allow %s: it is not denied: scriptfleet packages list shows what is", entry)
	}
	return d.top.in("denied_packages", func(denied *object) error {
		return denied.in("packages", func(all *object) error {
			all.drop(entry)
			return nil
		})
	})
}

// drop removes the members whose key is the entry, however it is written.
func (o *object) drop(entry string) {
	*o = slices.DeleteFunc(*o, func(m member) bool {
		normal, err := run.DeniedEntry(m.key)
		return err == nil && normal == entry
	})
}
