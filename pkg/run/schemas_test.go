package run

import _ "embed"

// The JSON Schemas of both events, draft 2020-12, for the stories that write
// and read them. The fleet uses [Policy.Decode] instead, which is faster and
// has better error messages. The tests check that both accept the same
// requests.
var (
	//go:embed request.schema.json
	requestSchema []byte
	//go:embed result.schema.json
	resultSchema []byte
)
