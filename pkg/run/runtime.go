package run

// Runtime is one that a request can name.
type Runtime struct {
	Name     string // as requests name it: python3.13, aws-cli
	Lambda   string // Lambda's identifier: python3.13
	Python   string // minor version of its interpreter: 3.13
	Platform string // newest wheel platform that its C library takes: manylinux_2_34
	Shell    bool   // the script is shell commands, not Python
}
