package config

import (
	"cmp"
	"fmt"
	"math"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/alecthomas/kong"
)

// Every number and duration has bounds: the tags min and max of its field. The
// help shows them, and a value outside of them is refused.

// describeBounds adds the bounds to the help of each flag.
func describeBounds(k *kong.Kong) error {
	return eachFlag(k.Model.Node, func(f *kong.Flag) error {
		if !bounded(f) {
			return nil
		}
		if !f.Tag.Has("min") || !f.Tag.Has("max") {
			return fmt.Errorf("flag --%s has no bounds: give its field the tags min and max", f.Name)
		}
		f.Help = strings.TrimSuffix(f.Help, ".") + fmt.Sprintf(" (%s to %s).", f.Tag.Get("min"), f.Tag.Get("max"))
		return nil
	})
}

// checkBounds fails if a flag has a value outside its bounds.
func checkBounds(flags []*kong.Flag) error {
	for _, f := range flags {
		target := f.Target
		if !bounded(f) || target.Kind() == reflect.Pointer && target.IsNil() {
			continue
		}
		value := reflect.Indirect(target)
		for tag, outside := range map[string]int{"min": -1, "max": 1} {
			bound := reflect.New(value.Type()).Elem()
			if err := parseInto(bound, f.Tag.Get(tag)); err != nil {
				return fmt.Errorf("read the %s of --%s: %w", tag, f.Name, err)
			}
			if compare(value, bound) == outside {
				return fmt.Errorf("--%s is %v: use %s to %s", f.Name, value.Interface(), f.Tag.Get("min"), f.Tag.Get("max"))
			}
		}
	}
	return nil
}

func eachFlag(n *kong.Node, do func(*kong.Flag) error) error {
	for _, f := range n.Flags {
		if err := do(f); err != nil {
			return err
		}
	}
	for _, child := range n.Children {
		if err := eachFlag(child, do); err != nil {
			return err
		}
	}
	return nil
}

func bounded(f *kong.Flag) bool {
	t := f.Target.Type()
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch t.Kind() {
	case reflect.Int, reflect.Int64, reflect.Uint64, reflect.Float64:
		return true
	}
	return false
}

var durationType = reflect.TypeFor[time.Duration]()

func parseInto(v reflect.Value, text string) error {
	switch {
	case v.Type() == durationType:
		d, err := ParseDuration(text)
		v.SetInt(int64(d))
		return err
	case v.CanInt():
		n, err := strconv.ParseInt(text, 10, 64)
		v.SetInt(n)
		return err
	case v.CanUint():
		n, err := strconv.ParseUint(text, 10, 64)
		v.SetUint(n)
		return err
	}
	n, err := strconv.ParseFloat(text, 64)
	v.SetFloat(n)
	return err
}

// compare compares two numbers. A NaN is greater than every bound.
func compare(a, b reflect.Value) int {
	switch {
	case a.CanInt():
		return cmp.Compare(a.Int(), b.Int())
	case a.CanUint():
		return cmp.Compare(a.Uint(), b.Uint())
	case math.IsNaN(a.Float()):
		return 1
	}
	return cmp.Compare(a.Float(), b.Float())
}

// ParseDuration reads a duration that may begin with days, such as 7d or 1d12h.
func ParseDuration(text string) (time.Duration, error) {
	days, rest, ok := strings.Cut(text, "d")
	if !ok {
		return time.ParseDuration(text)
	}
	n, err := strconv.ParseUint(days, 10, 16)
	if err != nil {
		return 0, fmt.Errorf("%q is not a duration: write it as 7d, 1d12h, 90m or 30s", text)
	}
	d := time.Duration(n) * 24 * time.Hour
	if rest == "" {
		return d, nil
	}
	more, err := time.ParseDuration(rest)
	return d + more, err
}

// durations makes kong read every duration with ParseDuration.
func durations(ctx *kong.DecodeContext, target reflect.Value) error {
	var text string
	if err := ctx.Scan.PopValueInto("duration", &text); err != nil {
		return err
	}
	d, err := ParseDuration(text)
	if err != nil {
		return err
	}
	target.Set(reflect.ValueOf(d))
	return nil
}
