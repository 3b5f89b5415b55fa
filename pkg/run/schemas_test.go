package run

import _ "embed"

// The JSON Schemas of both events, draft 2020-12. They are for those who write
// and read events; the fleet itself goes by [Policy.Decode], which is faster,
// and says what to do in words. The tests hold the two together.
var (
	//go:embed request.schema.json
	requestSchema []byte
	//go:embed result.schema.json
	resultSchema []byte
)
