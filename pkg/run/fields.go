package run

func checkTenant(s string) *Error    { return nil }
func checkSource(s string) *Error    { return nil }
func checkID(field, s string) *Error { return nil }
