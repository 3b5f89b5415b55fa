// Package examples has the scripts that the demo plays and that the console
// begins with.
package examples

import "embed"

//go:embed scripts
var scripts embed.FS

// Example is a script, and what it is run with.
type Example struct {
	Name, Title    string
	Script         string
	Requirements   string
	Input          string // a JSON object
	Runtime        string // empty: the fleet's default
	TimeoutSeconds int    // 0: the fleet's default
}

// All are the examples in the order in which they are offered.
func All() []Example {
	return []Example{
		{Name: "extract_iocs", Title: "Find addresses and hashes in a text", Script: Script("extract_iocs"),
			Input: "{\n  \"text\": \"mail from 203.0.113.7 carried d41d8cd98f00b204e9800998ecf8427e\"\n}"},
		{Name: "slug_titles", Title: "Use a package: titles to slugs", Script: Script("slug_titles"), Requirements: "python-slugify==8.0.4\n",
			Input: "{\n  \"titles\": [\"Überblick: Woche 48\", \"Café & Crème\"]\n}", TimeoutSeconds: 20},
		{Name: "close_ticket", Title: "Fail: a key that is not there", Script: Script("close_ticket"),
			Input: "{\n  \"ticket\": { \"id\": \"T-17\" }\n}"},
		{Name: "wait_for_scan", Title: "Take longer than the timeout", Script: Script("wait_for_scan"),
			Input: "{\n  \"seconds\": 600\n}", TimeoutSeconds: 2},
		{Name: "score_alert", Title: "Score an alert", Script: Script("score_alert"),
			Input: "{\n  \"alert\": 7,\n  \"title\": \"login from host 7\"\n}"},
	}
}

// Script is the script of an example.
func Script(name string) string {
	text, err := scripts.ReadFile("scripts/" + name + ".py")
	if err != nil {
		panic(err) // it is in the binary
	}
	return string(text)
}
