package layer

import (
	"archive/zip"
	"bytes"
	"fmt"
	"io"

	"github.com/scriptfleet/scriptfleet/pkg/glibc"
)

// checkWheel fails for a wheel with a program that needs a newer C library than
// the platform's: it would fail only when it is imported.
func checkWheel(wheel, platform string) error {
	r, err := zip.OpenReader(wheel)
	if err != nil {
		return fmt.Errorf("open what was built: %w", err)
	}
	defer r.Close()
	for _, f := range r.File {
		if f.UncompressedSize64 > DefaultMaxUnpackedBytes {
			return authorError(TypeEnvTooLarge, "%s, which was built from source, has %s: Lambda allows 250 MB for a function and its layers together.", f.Name, megabytes(int64(f.UncompressedSize64)))
		}
		content, err := f.Open()
		if err != nil {
			return fmt.Errorf("read what was built: %w", err)
		}
		data, err := io.ReadAll(io.LimitReader(content, DefaultMaxUnpackedBytes))
		content.Close()
		if err != nil {
			return fmt.Errorf("read what was built: %w", err)
		}
		if need := glibc.Newest(bytes.NewReader(data)); need > glibc.Of(platform) {
			return authorError(TypeSourceBuildFailed, "%s was built from source on a worker with a newer C library than the function's (2.%d, and it has 2.%d). Choose a version that has a wheel, or another package; or the operator builds on a system as old as Lambda's.", f.Name, need, glibc.Of(platform))
		}
	}
	return nil
}
