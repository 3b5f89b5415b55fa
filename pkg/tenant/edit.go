package tenant

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/scriptfleet/scriptfleet/pkg/credential"
	"github.com/scriptfleet/scriptfleet/pkg/editfile"
)

// Edit changes the settings file at path. It holds a lock on the file's folder,
// so that edits at the same time follow each other, and replaces the file whole
// by a rename: a fleet reads either the old file or the new one. It makes a
// missing file. It fails, and changes nothing, if the file or its new contents
// are not valid.
func Edit(path string, change func(*Draft) error) error {
	var refused error // told as it is
	err := editfile.Edit(path, editfile.File{Text: []byte("{}"), Mode: 0o600}, func(data []byte) (text []byte, _ error) {
		text, refused = edited(path, data, change)
		return text, refused
	})
	if err != nil && refused == nil {
		return fmt.Errorf("edit the tenants' settings: %w", err)
	}
	return err
}

// edited is what change makes of a settings file.
func edited(path string, data []byte, change func(*Draft) error) ([]byte, error) {
	draft, err := newDraft(data)
	if err != nil {
		return nil, fmt.Errorf("edit %s: %w; mend the file first", path, err)
	}
	if err := change(draft); err != nil {
		return nil, err
	}
	text, err := draft.text()
	if err == nil {
		_, err = Parse(text)
	}
	if err != nil {
		return nil, fmt.Errorf("edit %s: %w", path, err)
	}
	return text, nil
}

// Draft is a settings file that is being edited. Everything that an edit does
// not change keeps its value and its place.
type Draft struct {
	settings *Settings
	top      object
}

func newDraft(data []byte) (*Draft, error) {
	settings, err := Parse(data)
	if err != nil {
		return nil, err
	}
	d := &Draft{settings: settings}
	return d, json.Unmarshal(data, &d.top)
}

// Settings are the settings of the file before the edit.
func (d *Draft) Settings() *Settings { return d.settings }

// ExternalID returns the tenant's external ID, or "" if it has none.
func (d *Draft) ExternalID(tenant string) string {
	if e := d.settings.tenants[tenant]; e != nil && e.more != nil {
		return e.more.externalID
	}
	return ""
}

// SetCredential adds or replaces a credential, and gives the tenant the role's
// external ID.
func (d *Draft) SetCredential(tenant, name string, role credential.Role) error {
	if !isTenant(tenant) || !isCredential(name) {
		return fmt.Errorf("add credential %q of tenant %q: a tenant's name is 1 to 63 of a-z, 0-9 and hyphens, with no hyphen in front; "+
			"a credential's name has 1 to 128 bytes and no control characters", name, tenant)
	}
	fields := object{{"role_arn", mustJSON(role.ARN)}}
	if len(role.Runtimes) > 0 {
		fields = append(fields, member{"runtimes", mustJSON(role.Runtimes)})
	}
	return d.top.in("tenants", func(tenants *object) error {
		return tenants.in(tenant, func(t *object) error {
			t.set("external_id", mustJSON(role.ExternalID))
			return t.in("credentials", func(all *object) error {
				all.set(name, mustJSON(fields))
				return nil
			})
		})
	})
}

// RemoveCredential removes a credential. The tenant keeps its external ID.
func (d *Draft) RemoveCredential(tenant, name string) error {
	if _, ok := d.settings.Role(tenant, name); !ok {
		return fmt.Errorf("tenant %s has no credential %q", tenant, name)
	}
	return d.top.in("tenants", func(tenants *object) error {
		return tenants.in(tenant, func(t *object) error {
			return t.in("credentials", func(all *object) error {
				*all = slices.DeleteFunc(*all, func(m member) bool { return m.key == name })
				return nil
			})
		})
	})
}

// Pause lets a tenant's runs wait, and keeps its limits. Pausing a paused tenant
// changes nothing.
func (d *Draft) Pause(tenant string) error {
	if !isTenant(tenant) {
		return fmt.Errorf("pause %q: a tenant's name is 1 to 63 of a-z, 0-9 and hyphens, with no hyphen in front", tenant)
	}
	if refused := d.settings.Admit(tenant); refused != nil {
		return fmt.Errorf("pause %s: its requests are refused, since the file does not name it", tenant)
	}
	return d.top.in("tenants", func(tenants *object) error {
		return tenants.in(tenant, func(t *object) error {
			t.set("paused", mustJSON(true))
			return nil
		})
	})
}

// Resume ends a pause. It fails if the tenant is not paused.
func (d *Draft) Resume(tenant string) error {
	switch limits := d.settings.Limits(tenant); {
	case limits.Paused:
	case limits.MaxRunning == 0:
		return fmt.Errorf("resume %s: it is not paused, but its max_running is 0: raise that in the file", tenant)
	default:
		return fmt.Errorf("resume %s: it is not paused", tenant)
	}
	return d.top.in("tenants", func(tenants *object) error {
		return tenants.in(tenant, func(t *object) error {
			*t = slices.DeleteFunc(*t, func(m member) bool { return m.key == "paused" })
			return nil
		})
	})
}

func (d *Draft) text() ([]byte, error) {
	var out bytes.Buffer
	if err := json.Indent(&out, mustJSON(d.top), "", "  "); err != nil {
		return nil, err
	}
	out.WriteByte('\n')
	return out.Bytes(), nil
}

// object is a JSON object that keeps the order of its members.
type object []member

type member struct {
	key   string
	value json.RawMessage
}

// in changes the object of a key, which is made if it is missing.
func (o *object) in(key string, change func(*object) error) error {
	var below object
	for _, m := range *o {
		if m.key == key {
			if err := json.Unmarshal(m.value, &below); err != nil {
				return err
			}
		}
	}
	if err := change(&below); err != nil {
		return err
	}
	o.set(key, mustJSON(below))
	return nil
}

func (o *object) set(key string, value json.RawMessage) {
	for i, m := range *o {
		if m.key == key {
			(*o)[i].value = value
			return
		}
	}
	*o = append(*o, member{key, value})
}

// MarshalJSON implements json.Marshaler.
func (o object) MarshalJSON() ([]byte, error) {
	var out bytes.Buffer
	out.WriteByte('{')
	for i, m := range o {
		if i > 0 {
			out.WriteByte(',')
		}
		out.Write(mustJSON(m.key))
		out.WriteByte(':')
		out.Write(m.value)
	}
	out.WriteByte('}')
	return out.Bytes(), nil
}

// UnmarshalJSON implements json.Unmarshaler.
func (o *object) UnmarshalJSON(text []byte) error {
	dec := json.NewDecoder(bytes.NewReader(text))
	if _, err := dec.Token(); err != nil {
		return err
	}
	for dec.More() {
		key, err := dec.Token()
		if err != nil {
			return err
		}
		var value json.RawMessage
		if err := dec.Decode(&value); err != nil {
			return err
		}
		*o = append(*o, member{key.(string), value})
	}
	return nil
}

// mustJSON encodes texts, lists of texts and objects, which always can be.
func mustJSON(v any) json.RawMessage {
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false) // the texts of others stay as they are
	if err := enc.Encode(v); err != nil {
		panic(err)
	}
	return bytes.TrimSuffix(out.Bytes(), []byte("\n"))
}
