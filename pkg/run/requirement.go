package run

// NormalizeRequirements reads the text of a requirements file.
func NormalizeRequirements(text string) (string, *Error) { return text, nil }
