// Package commands holds no code, only tests of the command lines as people
// type them: the binaries as they are shipped, and the README's own lines.
//
//   - The README's blocks are executed as they stand, and print what it says
//     (readme_test.go).
//   - Ctrl-C ends a command within a second and leaves nothing behind
//     (interrupt_test.go).
//   - Operators' commands ask for no more than they use, and what can't be read
//     never leaves the command line (operator_test.go).
package commands
