package service

import "runtime"

// floorBytes are counted as in use by the garbage collector, and nothing ever
// touches them, so that they take no memory. The collector runs when what is in
// use has doubled. A process of the fleet has some 4 MB in use: without the floor
// it would run after each 4 MB that runs allocate, of which each run takes 60 KB
// in all, and scan the stacks of hundreds of goroutines each time. The floor lets
// garbage take as much more memory as it has itself. GOGC and GOMEMLIMIT act as
// always.
const floorBytes = 8 << 20

// WithFloor calls f above the floor. Run calls it for the parts of a process; a
// process that serves without parts calls it itself.
func WithFloor(f func() error) error {
	floor := make([]byte, floorBytes)
	defer runtime.KeepAlive(floor)
	return f()
}
