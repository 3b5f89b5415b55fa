//go:build linux && !amd64 && !arm64

package inside

// SeccompArch is 0 on architectures on which the filter was not tested.
const SeccompArch uint32 = 0

var refusedHere []uint32
