package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
)

// test runs a test that measures, and takes over what it has recorded (package
// figures).
func (b *bench) test(ctx context.Context, pkg string, args ...string) error {
	file := filepath.Join(b.dir, "figures")
	defer os.Remove(file)
	args = append([]string{"test", "-buildvcs=false", pkg, "-timeout", chosenMost.String(), "-figures", file}, args...)
	cmd := exec.CommandContext(ctx, "go", args...)
	// go test starts the test's process, which would survive it.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	out, failed := cmd.CombinedOutput()
	if failed != nil {
		failed = fmt.Errorf("go test %s: %w\n%s", pkg, failed, out[max(0, len(out)-4000):])
	}
	b.say("%s", out)
	return errors.Join(failed, b.takeOver(file))
}

// takeOver records the figures of a file, also those of a test that failed after
// them.
func (b *bench) takeOver(file string) error {
	content, err := os.ReadFile(file)
	if err != nil {
		return fmt.Errorf("nothing was recorded: %w", err)
	}
	for lines := bufio.NewScanner(bytes.NewReader(content)); lines.Scan(); {
		var got struct {
			Name  string
			Value float64
		}
		if err := json.Unmarshal(lines.Bytes(), &got); err != nil {
			return fmt.Errorf("read what was recorded: %w", err)
		}
		b.record(got.Name, got.Value)
	}
	return nil
}

const fairness = "./pkg/fleettest/fairness"

func costs(ctx context.Context, b *bench) error {
	return b.test(ctx, fairness, "-run", "^TestCosts$", "-costs")
}

func quiet(ctx context.Context, b *bench) error {
	return b.test(ctx, fairness, "-run", "^(TestFairness|TestNewScriptsWaitForNoFunction)$", "-fairness", "-wall=false", "-measure", "flood: nothing,equals: nothing")
}

func tenants(ctx context.Context, b *bench) error {
	return b.test(ctx, fairness, "-run", "^TestTenants$", "-tenants")
}

func growth(ctx context.Context, b *bench) error {
	return b.test(ctx, fairness, "-run", "^TestGrowth$", "-growth")
}

func aMillion(ctx context.Context, b *bench) error {
	return b.test(ctx, fairness, "-run", "^TestGrowthToAMillion$", "-growth")
}

func heaps(ctx context.Context, b *bench) error {
	return b.test(ctx, fairness, "-run", "^(TestBacklog|TestHeapOfScripts)$", "-growth")
}

func cold(ctx context.Context, b *bench) error {
	return errors.Join(
		b.test(ctx, "./pkg/localaws/lambda", "-run", "^$", "-bench", "^BenchmarkColdInvoke$", "-benchtime", "60x"),
		b.test(ctx, "./pkg/function", "-run", "^$", "-bench", "^BenchmarkEnvRunner$", "-benchtime", "300x"))
}

func trace(ctx context.Context, b *bench) error {
	return b.test(ctx, fairness, "-run", "^TestTrace$", "-traced")
}
