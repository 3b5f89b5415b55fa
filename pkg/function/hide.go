package function

import "strings"

// Hide replaces the secrets of the run's credential in its logs and its error:
// a script that prints its input, or fails with it, must not publish them. The
// output stays exactly what main returned. c may be nil.
func (o *Outcome) Hide(c *Credentials) {
	if c == nil || c.SecretAccessKey == "" || c.SessionToken == "" {
		return
	}
	secrets := strings.NewReplacer(c.SecretAccessKey, "[SecretAccessKey]", c.SessionToken, "[SessionToken]")
	o.Logs.Stdout, o.Logs.Stderr = secrets.Replace(o.Logs.Stdout), secrets.Replace(o.Logs.Stderr)
	if o.Error != nil {
		hidden := *o.Error
		hidden.Type, hidden.Message, hidden.Traceback = secrets.Replace(hidden.Type), secrets.Replace(hidden.Message), secrets.Replace(hidden.Traceback)
		o.Error = &hidden
	}
}
