package main

type reportCommand struct {
	outcome
	File string `arg:"" type:"existingfile" help:"Report that replay --report has written."`
}

// Help is shown below the flags.
func (reportCommand) Help() string {
	return `Shows the report of a replay again: as tables or as an HTML page, beside an older report, or judged by other objectives. Exit codes are those of replay.

Examples:

  scriptfleet report new.json --compare old.json
  scriptfleet report new.json --html page.html --objective 'p99<500ms'`
}

func (c *reportCommand) Run() error {
	r, err := readReport(c.File)
	if err != nil {
		return exitError{exitUsage, err}
	}
	judge, err := c.open()
	if err != nil {
		return exitError{exitUsage, err}
	}
	return judge.end(r)
}
