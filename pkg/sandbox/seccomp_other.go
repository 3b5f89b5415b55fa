//go:build linux && !amd64 && !arm64

package sandbox

// seccompArch is 0 on architectures on which the filter was not tested.
const seccompArch uint32 = 0

var refusedHere []uint32
