package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
)

// build builds a program of the fleet once.
func (h *harness) build(ctx context.Context, name, pkg string) (string, error) {
	bin := filepath.Join(h.dir, name)
	if _, err := os.Stat(bin); err == nil {
		return bin, nil
	}
	cmd := exec.CommandContext(ctx, "go", "build", "-buildvcs=false", "-o", bin, pkg)
	cmd.Dir, cmd.Env = h.root, append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build %s: %w\n%s", pkg, err, out)
	}
	return bin, nil
}

// scriptfleet measures this fleet by the program that make bench uses.
func scriptfleet(workers int) measure {
	return func(ctx context.Context, h *harness) (m measured, err error) {
		bin, err := h.build(ctx, "bench", "./.ci/bench")
		if err != nil {
			return m, err
		}
		cmd := exec.CommandContext(ctx, bin, "-as-peer", strconv.Itoa(workers),
			"-runs", strconv.Itoa(burstRuns), "-steady-runs", strconv.Itoa(steadyRuns), "-steady-rate", strconv.Itoa(steadyRate))
		cmd.Dir, cmd.Stderr = h.root, os.Stderr
		out, err := cmd.Output()
		if err != nil {
			return m, err
		}
		return m, json.Unmarshal(out, &m)
	}
}

var export = regexp.MustCompile(`(?m)^export (\w+)='(.*)'$`)

// settings are the variables that a stack has written; none before it has.
func settings(file string) map[string]string {
	content, _ := os.ReadFile(file)
	set := map[string]string{}
	for _, m := range export.FindAllStringSubmatch(string(content), -1) {
		set[m[1]] = m[2]
	}
	return set
}
