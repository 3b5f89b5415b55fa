package board

import (
	"encoding/json"
	"strconv"
	"strings"
)

// Runbook is where each alert has a section of its name.
const Runbook = "https://github.com/scriptfleet/scriptfleet/blob/main/deploy/README.md"

// schemaVersion is the version of Grafana's format.
const schemaVersion = 41

// object is a JSON object. Its keys are written in order, so the same dashboard
// makes the same file.
type object map[string]any

// Grafana is the dashboard as a file for Grafana.
func (d Dashboard) Grafana() ([]byte, error) {
	file := object{
		"uid": d.UID, "title": d.Title, "description": d.Description, "tags": []string{"scriptfleet"},
		"schemaVersion": schemaVersion, "version": 1, "editable": true, "graphTooltip": 1, "timezone": "browser", "refresh": "10s",
		"time": object{"from": "now-1h", "to": "now"}, "timepicker": object{}, "fiscalYearStartMonth": 0, "liveNow": false, "preload": false,
		"links": links(), "annotations": object{"list": []any{firing()}}, "templating": object{"list": d.variables()}, "panels": d.panels(),
	}
	text, err := json.MarshalIndent(file, "", "  ")
	return append(text, '\n'), err
}

// links lead to the other dashboards, with the same time and variables, and to
// the runbook.
func links() []object {
	return []object{
		{"type": "dashboards", "title": "scriptfleet", "tags": []string{"scriptfleet"}, "asDropdown": false, "includeVars": true, "keepTime": true, "targetBlank": false, "icon": "external link", "url": "", "tooltip": ""},
		{"type": "link", "title": "Runbook", "url": Runbook, "tags": []string{}, "asDropdown": false, "includeVars": false, "keepTime": false, "targetBlank": true, "icon": "doc", "tooltip": "A section for each alert"},
	}
}

// firing marks when alerts fire.
func firing() object {
	return object{
		"name": "Alerts", "enable": true, "hide": false, "iconColor": "red", "datasource": datasource(),
		"expr": `ALERTS{alertname=~"Scriptfleet.*",alertstate="firing",severity="page"}`, "titleFormat": "{{alertname}}", "step": "30s",
	}
}

func datasource() object { return object{"type": "prometheus", "uid": "${datasource}"} }

func (d Dashboard) variables() []object {
	all := []object{
		{"name": "datasource", "label": "Data source", "type": "datasource", "query": "prometheus", "current": object{}, "options": []any{}, "regex": "", "refresh": 1, "hide": 0, "multi": false, "includeAll": false},
		ofLabel("job", "Job", `label_values(up{job=~"scriptfleet.*"}, job)`, "scriptfleet.*"),
		ofLabel("instance", "Instance", `label_values(up{job=~"$job"}, instance)`, ".+"),
	}
	for _, v := range d.Variables {
		if v.Query != "" {
			one := ofLabel(v.Name, v.Label, v.Query, "")
			one["description"] = v.Description
			all = append(all, one)
			continue
		}
		chosen := object{"text": v.Value, "value": v.Value, "selected": true}
		all = append(all, object{"name": v.Name, "label": v.Label, "description": v.Description, "type": "textbox", "query": v.Value, "current": chosen, "options": []any{chosen}, "hide": 0})
	}
	return all
}

// ofLabel is a variable with the values of a label: several of them if there is
// an expression for all.
func ofLabel(name, label, query, all string) object {
	v := object{
		"name": name, "label": label, "type": "query", "datasource": datasource(), "definition": query,
		"query":   object{"query": query, "refId": "PrometheusVariableQueryEditor-VariableQuery", "qryType": 1},
		"refresh": 2, "sort": 1, "multi": all != "", "includeAll": all != "", "options": []any{}, "regex": "", "hide": 0, "current": object{},
	}
	if all != "" {
		v["allValue"], v["current"] = all, object{"text": []string{"All"}, "value": []string{"$__all"}}
	}
	return v
}

func (d Dashboard) panels() (all []object) {
	rows, cells := d.layout()
	for i, r := range d.Rows {
		all = append(all, object{"id": len(all) + 1, "type": "row", "title": r.Title, "collapsed": false, "gridPos": at(rows[i]), "panels": []any{}})
		for j, p := range r.Panels {
			panel := p.grafana()
			panel["id"], panel["gridPos"] = len(all)+1, at(cells[i][j])
			all = append(all, panel)
		}
	}
	return all
}

func at(c cell) object { return object{"x": c.X, "y": c.Y, "w": c.W, "h": c.H} }

func (p Panel) grafana() object {
	kind := string(p.Kind)
	if p.Kind == Stacked {
		kind = string(Lines)
	}
	panel := object{
		"type": kind, "title": p.Title, "description": p.Description, "datasource": datasource(),
		"fieldConfig": object{"defaults": p.defaults(), "overrides": p.overrides()}, "options": p.options(), "targets": p.targets(),
	}
	if p.Alert != "" {
		panel["links"] = []object{{"title": "Runbook: " + p.Alert, "url": Runbook + "#" + strings.ToLower(p.Alert), "targetBlank": true}}
	}
	return panel
}

func (p Panel) targets() (all []object) {
	for i, q := range p.Queries {
		all = append(all, object{
			"refId": string(rune('A' + i)), "datasource": datasource(), "expr": q.Text(), "legendFormat": q.Legend,
			"editorMode": "code", "range": p.Kind != Bars, "instant": p.Kind == Bars, "exemplar": p.Exemplars,
		})
	}
	return all
}

func (p Panel) defaults() object {
	steps := []object{{"color": p.color(0, true), "value": nil}}
	for i, l := range p.Limits {
		steps = append(steps, object{"color": p.color(i+1, false), "value": l.At})
	}
	defaults := object{
		"unit": p.Unit, "decimals": p.Decimals, "min": 0,
		"thresholds": object{"mode": "absolute", "steps": steps},
		"color":      object{"mode": "palette-classic"},
	}
	if p.Max > 0 {
		defaults["max"] = p.Max
	}
	if p.Kind == Stat || p.Kind == Bars {
		defaults["color"] = object{"mode": "thresholds"}
	} else {
		defaults["custom"] = p.lines()
	}
	if p.Tenants {
		defaults["links"] = []object{{"title": "This tenant", "url": "/d/scriptfleet-tenants?var-tenant=${__field.labels.tenant}&${__url_time_range}"}}
	}
	return defaults
}

// color is the colour of the nth step: that below all limits is the first.
func (p Panel) color(n int, first bool) string {
	const good = "green"
	switch {
	case !p.Falling && first:
		return good
	case !p.Falling:
		return p.Limits[n-1].Color
	case n == len(p.Limits):
		return good
	default:
		return p.Limits[n].Color
	}
}

func (p Panel) lines() object {
	fill, stack := 8, object{"mode": "none", "group": "A"}
	if p.Kind == Stacked {
		fill, stack = 60, object{"mode": "normal", "group": "A"}
	}
	limits := "off"
	if len(p.Limits) > 0 {
		limits = "dashed"
	}
	return object{
		"drawStyle": "line", "lineInterpolation": "linear", "lineWidth": 1, "fillOpacity": fill, "gradientMode": "none",
		"showPoints": "never", "spanNulls": false, "stacking": stack, "thresholdsStyle": object{"mode": limits},
		"axisPlacement": "auto", "axisLabel": "", "scaleDistribution": object{"type": "linear"},
	}
}

// overrides give series of known names their colours.
func (p Panel) overrides() []object {
	all := []object{}
	for _, name := range p.knownNames() {
		all = append(all, object{
			"matcher":    object{"id": "byName", "options": name},
			"properties": []object{{"id": "color", "value": object{"mode": "fixed", "fixedColor": colors[name]}}},
		})
	}
	return all
}

func (p Panel) options() object {
	last := object{"calcs": []string{"lastNotNull"}, "fields": "", "values": false}
	switch p.Kind {
	case Stat:
		return object{"colorMode": "value", "graphMode": "area", "justifyMode": "auto", "orientation": "auto", "textMode": "value", "reduceOptions": last}
	case Bars:
		return object{"displayMode": "gradient", "orientation": "horizontal", "showUnfilled": true, "valueMode": "color", "namePlacement": "left", "sizing": "auto", "reduceOptions": last}
	}
	return object{
		"legend":  object{"showLegend": true, "displayMode": "table", "placement": "bottom", "calcs": []string{"lastNotNull", "max"}, "sortBy": "Max", "sortDesc": true},
		"tooltip": object{"mode": "multi", "sort": "desc"},
	}
}

// Number writes a variable's value.
func Number(n float64) string { return strconv.FormatFloat(n, 'f', -1, 64) }
