//go:build !race

package program

// RaceDetector tells whether the tests are built with the race detector.
const RaceDetector = false
