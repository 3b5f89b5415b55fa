// Package memfunction is a function service in memory, for tests and the
// simulation of the fleet.
package memfunction
