// Package architecture contains only the tests of the project's structure,
// mainly of its imports. rules_test.go has the rules, each with its reason. In
// short:
//
//   - Only cmd names concrete types. Packages in pkg import neither cmd nor the
//     dispatcher nor the worker.
//   - The dispatcher and the worker import neither AWS nor Redis nor each other,
//     directly or through another package.
//   - An adapter imports its contract, pkg/run and its one SDK. No other package
//     imports an SDK.
//   - Policy is pure: no clock, no goroutine, no input or output.
//   - The production binaries do not contain the embedded stack.
//   - Only tests import test suites, packages below pkg/fleettest, and the
//     in-memory implementations of contracts.
//
// There are two more tests. No six lines of code appear in two test packages
// (repeated_test.go). Everything that pkg exports is used outside of tests,
// except for a list with reasons (unused_test.go): a setting that only tests
// set is a feature that no operator can use.
//
// The rules apply to a new package by its path; only an adapter has to be added
// to the table of adapters.
package architecture
