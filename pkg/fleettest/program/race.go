//go:build race

package program

// RaceDetector tells whether the tests have the race detector in them.
const RaceDetector = true
