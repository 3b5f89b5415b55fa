package run

import "testing"

func TestAScriptWhoseCodingLineLiesIsRefused(t *testing.T) {
	const text = "def main(input):\n    return 'ü'\n"
	for script, refused := range map[string]bool{
		text:                                 false,
		"# -*- coding: utf-8 -*-\n" + text:   false,
		"# coding: UTF_8\n" + text:           false,
		"# -*- coding: latin-1 -*-\n" + text: true,
		"#!/usr/bin/env python\r\n# vim: set fileencoding=cp1252 :\r\n" + text: true,
		"\n# coding: latin-1\n" + text:                                         true,
		"x = 1\n# coding: latin-1\n" + text:                                    false, // Python reads no coding line after code
		"# coding: latin-1\ndef main(input): pass":                             false,
	} {
		bad := checkCoding(Offer{}, script)
		if (bad != nil) != refused {
			t.Errorf("%q: %v", script, bad)
		}
	}
	if bad := checkCoding(Offer{Runtime: Runtime{Shell: true}}, "# coding: latin-1\necho ü"); bad != nil {
		t.Errorf("of a shell script: %v", bad)
	}
}
