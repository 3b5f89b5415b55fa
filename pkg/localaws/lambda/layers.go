package lambda

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// layer is all versions of one layer. Numbers are never reused.
type layer struct {
	Name     string
	Last     int64
	Versions []*version // newest last
}

// version is one layer version.
type version struct {
	Number      int64
	ARN         string
	Description string
	License     string
	Runtimes    []string
	Arches      []string
	Created     time.Time
	Content     blob
}

type layerInput struct {
	Content                                     codeInput
	Description, LicenseInfo                    string
	CompatibleRuntimes, CompatibleArchitectures []string
}

// layerVersion is the API's description of a version.
type layerVersion struct {
	LayerArn                string
	LayerVersionArn         string
	Version                 int64
	Description             string
	CreatedDate             string
	LicenseInfo             string         `json:",omitempty"`
	CompatibleRuntimes      []string       `json:",omitempty"`
	CompatibleArchitectures []string       `json:",omitempty"`
	Content                 map[string]any `json:",omitempty"`
}

func (s *Server) publishLayer(w http.ResponseWriter, r *http.Request, t target) error {
	var in layerInput
	if err := readJSON(r, "PublishLayerVersion", &in); err != nil {
		return err
	}
	data, err := s.receive(r.Context(), in.Content)
	if err != nil {
		return err
	}
	content, unpin, err := s.keep(data)
	if err != nil {
		return err
	}
	defer unpin()
	v := &version{
		Description: in.Description, License: in.LicenseInfo, Runtimes: in.CompatibleRuntimes, Arches: in.CompatibleArchitectures,
		Created: time.Now().UTC(), Content: content,
	}
	next, err := s.enterVersion(t.name, v)
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusCreated, s.describeVersion(next, v, true))
	return nil
}

// enterVersion numbers a version and adds it.
func (s *Server) enterVersion(name string, v *version) (*layer, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	l, ok := s.layers[name]
	if !ok {
		l = &layer{Name: name}
	}
	v.Number = l.Last + 1
	v.ARN = fmt.Sprintf("%s:%d", s.layerARN(name), v.Number)
	next := &layer{Name: l.Name, Last: v.Number, Versions: append(slices.Clone(l.Versions), v)}
	if err := s.store.putLayer(next); err != nil {
		return nil, err
	}
	s.layers[name] = next
	return next, nil
}

func (s *Server) describeVersion(l *layer, v *version, content bool) layerVersion {
	out := layerVersion{
		LayerArn: s.layerARN(l.Name), LayerVersionArn: v.ARN, Version: v.Number, Description: v.Description, CreatedDate: timestamp(v.Created),
		LicenseInfo: v.License, CompatibleRuntimes: v.Runtimes, CompatibleArchitectures: v.Arches,
	}
	if content {
		out.Content = map[string]any{"CodeSha256": v.Content.base64SHA(), "CodeSize": v.Content.Size}
	}
	return out
}

// findVersion returns a version by its ARN. The caller holds s.mu.
func (s *Server) findVersion(arn string) (*version, error) {
	rest, ok := strings.CutPrefix(arn, s.layerARN(""))
	name, number, both := strings.Cut(rest, ":")
	if !ok || !both {
		return nil, invalid("Layer version %s does not exist.", arn)
	}
	if v := s.versionOf(name, number); v != nil {
		return v, nil
	}
	return nil, invalid("Layer version %s does not exist.", arn)
}

// versionOf returns nil if there is no such version. The caller holds s.mu.
func (s *Server) versionOf(name, number string) *version {
	n, err := strconv.ParseInt(number, 10, 64)
	l, ok := s.layers[name]
	if err != nil || !ok {
		return nil
	}
	i := slices.IndexFunc(l.Versions, func(v *version) bool { return v.Number == n })
	if i < 0 {
		return nil
	}
	return l.Versions[i]
}

func (s *Server) getLayerVersion(w http.ResponseWriter, _ *http.Request, t target) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	v := s.versionOf(t.name, t.version)
	if v == nil {
		return notFound("The resource you requested does not exist.")
	}
	writeJSON(w, http.StatusOK, s.describeVersion(s.layers[t.name], v, true))
	return nil
}

// deleteLayerVersion also succeeds if there is no such version. Functions that
// use the version keep it.
func (s *Server) deleteLayerVersion(w http.ResponseWriter, _ *http.Request, t target) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if v := s.versionOf(t.name, t.version); v != nil {
		l := s.layers[t.name]
		next := &layer{Name: l.Name, Last: l.Last, Versions: slices.DeleteFunc(slices.Clone(l.Versions), func(o *version) bool { return o == v })}
		if err := s.store.putLayer(next); err != nil {
			return err
		}
		s.layers[t.name] = next
		s.removeUnused(v.Content)
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func (s *Server) listLayerVersions(w http.ResponseWriter, r *http.Request, t target) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var versions []*version
	if l, ok := s.layers[t.name]; ok {
		versions = matching(r, l)
	}
	page, next, err := paginate(r, versions, func(v *version) string { return fmt.Sprintf("%019d", -v.Number+1<<62) })
	if err != nil {
		return err
	}
	out := make([]layerVersion, 0, len(page))
	for _, v := range page {
		out = append(out, s.describeVersion(s.layers[t.name], v, false))
	}
	writeJSON(w, http.StatusOK, map[string]any{"LayerVersions": out, "NextMarker": next})
	return nil
}

// matching lists the versions that match a call's filters, newest first.
func matching(r *http.Request, l *layer) []*version {
	runtime, arch := r.URL.Query().Get("CompatibleRuntime"), r.URL.Query().Get("CompatibleArchitecture")
	var out []*version
	for _, v := range slices.Backward(l.Versions) {
		if (runtime == "" || slices.Contains(v.Runtimes, runtime)) && (arch == "" || slices.Contains(v.Arches, arch)) {
			out = append(out, v)
		}
	}
	return out
}

func (s *Server) listLayers(w http.ResponseWriter, r *http.Request, _ target) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var names []string
	for name, l := range s.layers {
		if len(matching(r, l)) > 0 {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	page, next, err := paginate(r, names, func(n string) string { return n })
	if err != nil {
		return err
	}
	out := make([]map[string]any, 0, len(page))
	for _, name := range page {
		l := s.layers[name]
		out = append(out, map[string]any{
			"LayerName": name, "LayerArn": s.layerARN(name),
			"LatestMatchingVersion": s.describeVersion(l, matching(r, l)[0], false),
		})
	}
	writeJSON(w, http.StatusOK, map[string]any{"Layers": out, "NextMarker": next})
	return nil
}
