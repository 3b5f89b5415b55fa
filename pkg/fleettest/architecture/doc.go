// Package architecture holds no code, only the test that keeps the shape of the
// project: who may import what. The rules stand in rules_test.go, each with its
// reason; in short:
//
//   - Only cmd knows concrete types. What is in pkg knows neither cmd nor the
//     dispatcher nor the worker.
//   - The dispatcher and the worker know neither AWS nor Redis, nor each other,
//     not even by way of something that they import.
//   - An adapter imports the contract that it stands below, the run's words, and
//     the one SDK that it is for. No other package imports an SDK.
//   - Policy is pure: no clock, no goroutine, no input or output.
//   - The production binaries carry no embedded stack.
//   - Test suites, what lies below pkg/fleettest, and the contracts' parts in
//     memory are imported by tests only.
//
// Two more things are held here. No six lines stand in two test packages
// (repeated_test.go). And what pkg exports is used outside of tests, but for a
// list with reasons (unused_test.go): a setting that only tests set is a feature
// that no operator has.
//
// A package that is new falls under the rules by where it lies; only an adapter
// has to be added to the table of adapters.
package architecture
