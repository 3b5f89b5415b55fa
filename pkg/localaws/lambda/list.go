package lambda

import (
	"encoding/base64"
	"net/http"
	"slices"
	"strconv"
)

func (s *Server) listFunctions(w http.ResponseWriter, r *http.Request, _ target) error {
	s.mu.Lock()
	names := make([]string, 0, len(s.functions))
	for name := range s.functions {
		names = append(names, name)
	}
	slices.Sort(names)
	page, next, err := paginate(r, names, func(n string) string { return n })
	if err != nil {
		s.mu.Unlock()
		return err
	}
	out := make([]configuration, 0, len(page))
	for _, name := range page {
		out = append(out, s.describe(s.functions[name]))
	}
	s.mu.Unlock()
	writeJSON(w, http.StatusOK, map[string]any{"Functions": out, "NextMarker": next})
	return nil
}

// paginate returns one page of a sorted list. A marker is the last key of the
// previous page; next is nil on the last page.
func paginate[T any](r *http.Request, all []T, key func(T) string) (page []T, next *string, err error) {
	size := 50
	if given := r.URL.Query().Get("MaxItems"); given != "" {
		n, err := strconv.Atoi(given)
		if err != nil || n < 1 || n > 10000 {
			return nil, nil, validation("maxItems", given)
		}
		size = min(n, size)
	}
	if marker := r.URL.Query().Get("Marker"); marker != "" {
		last, err := base64.RawURLEncoding.DecodeString(marker)
		if err != nil {
			return nil, nil, invalid("Invalid marker")
		}
		i := slices.IndexFunc(all, func(v T) bool { return key(v) == string(last) })
		if i < 0 {
			// The last entry of the previous page was deleted: continue after its
			// position.
			i = slices.IndexFunc(all, func(v T) bool { return key(v) > string(last) }) - 1
			if i < -1 {
				i = len(all) - 1
			}
		}
		all = all[i+1:]
	}
	if len(all) <= size {
		return all, nil, nil
	}
	marker := base64.RawURLEncoding.EncodeToString([]byte(key(all[size-1])))
	return all[:size], &marker, nil
}
