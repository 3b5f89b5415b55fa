package layer

import (
	"archive/zip"
	"bytes"
	"debug/elf"
	"fmt"
	"io"
	"strconv"
	"strings"
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
		if need := newestGlibc(data); need > glibcOf(platform) {
			return authorError(TypeSourceBuildFailed, "%s was built from source on a worker with a newer C library than the function's (2.%d, and it has 2.%d). Choose a version that has a wheel, or another package; or the operator builds on a system as old as Lambda's.", f.Name, need, glibcOf(platform))
		}
	}
	return nil
}

// glibcOf is 34 for manylinux_2_34: the C library of the platform is glibc 2.34.
func glibcOf(platform string) int {
	minor, err := strconv.Atoi(strings.TrimPrefix(platform, "manylinux_2_"))
	if err != nil {
		return 17 // manylinux2014
	}
	return minor
}

// newestGlibc is 34 for a program or library that needs glibc 2.34, and 0 for
// any other file.
func newestGlibc(data []byte) (newest int) {
	if !bytes.HasPrefix(data, []byte(elf.ELFMAG)) {
		return 0
	}
	f, err := elf.NewFile(bytes.NewReader(data))
	if err != nil {
		return 0
	}
	symbols, err := f.ImportedSymbols()
	if err != nil {
		return 0
	}
	for _, s := range symbols {
		var minor int
		if _, err := fmt.Sscanf(s.Version, "GLIBC_2.%d", &minor); err == nil {
			newest = max(newest, minor)
		}
	}
	return newest
}
