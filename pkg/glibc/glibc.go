// Package glibc tells which version of the GNU C library a compiled file needs.
// A file that needs a newer one than the machine has fails only when it is
// loaded.
package glibc

import (
	"debug/elf"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// Of is 34 for the wheel platform manylinux_2_34: its C library is glibc 2.34.
func Of(platform string) int {
	minor, err := strconv.Atoi(strings.TrimPrefix(platform, "manylinux_2_"))
	if err != nil {
		return 17 // manylinux2014
	}
	return minor
}

// Newest is 34 for a program or library that needs glibc 2.34, and 0 for any
// other file.
func Newest(file io.ReaderAt) (newest int) {
	f, err := elf.NewFile(file)
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
