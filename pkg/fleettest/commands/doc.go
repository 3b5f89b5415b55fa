// Package commands contains only tests of the command lines as people type
// them: the binaries as they are shipped, and the commands of the README.
//
//   - The README's blocks are executed unchanged, and print what the README shows
//     (readme_test.go).
//   - Ctrl-C ends a command within a second, and no process or file is left
//     (interrupt_test.go).
//   - Operators' commands need no other permissions than they use, and reject
//     unreadable input themselves (operator_test.go).
package commands
