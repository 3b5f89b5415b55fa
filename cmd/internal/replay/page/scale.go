package page

import (
	"fmt"
	"math"
	"strconv"
)

// scale maps values to places in a plot.
type scale struct {
	log       bool
	low, high float64 // values
	from, to  float64 // places
}

// at is the place of a value; a value outside of the scale is at its end.
func (s scale) at(v float64) float64 {
	v = min(max(v, s.low), s.high)
	low, high := s.low, s.high
	if s.log {
		v, low, high = math.Log10(v), math.Log10(low), math.Log10(high)
	}
	if high == low {
		return s.from
	}
	return s.from + (s.to-s.from)*(v-low)/(high-low)
}

// tick is a mark of an axis.
type tick struct {
	At   float64
	Text string
}

// ticks are marks at round values, about n of them, or at the powers of ten.
func (s scale) ticks(n int, text func(float64) string) []tick {
	var all []tick
	add := func(v float64) { all = append(all, tick{s.at(v), text(v)}) }
	if s.log {
		for v := math.Pow(10, math.Ceil(math.Log10(s.low)-1e-9)); v <= s.high*1.000001; v *= 10 {
			add(v)
		}
		return all
	}
	step := round((s.high - s.low) / float64(n))
	if step <= 0 {
		return []tick{{s.at(s.low), text(s.low)}}
	}
	for i := math.Ceil(s.low / step); i*step <= s.high*1.000001; i++ {
		add(i * step)
	}
	return all
}

// times are about n marks of a scale of seconds.
func (s scale) times(n int) []tick {
	step := round(s.high / float64(n))
	for _, whole := range []float64{10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400} {
		if step > 5 && whole >= s.high/float64(n) {
			step = whole
			break
		}
	}
	if step == 0 {
		return []tick{{s.at(0), clock(0)}}
	}
	var all []tick
	for v := 0.0; v <= s.high*1.000001; v += step {
		all = append(all, tick{s.at(v), clock(v)})
	}
	return all
}

// round is the next 1, 2 or 5 times a power of ten.
func round(v float64) float64 {
	if v <= 0 {
		return 0
	}
	power := math.Pow(10, math.Floor(math.Log10(v)))
	for _, digit := range []float64{1, 2, 5, 10} {
		if v <= digit*power*1.000001 {
			return digit * power
		}
	}
	return 10 * power
}

// upTo is a linear scale from 0 to a round value that is at least v.
func upTo(v, from, to float64) scale {
	step := round(v / 4)
	if step == 0 {
		return scale{high: 1, from: from, to: to}
	}
	return scale{high: math.Ceil(v/step-1e-9) * step, from: from, to: to}
}

// decades is a logarithmic scale of whole powers of ten around the values.
func decades(low, high, from, to float64) scale {
	low, high = max(low, 1e-3), max(high, 1e-3)
	s := scale{log: true, low: math.Pow(10, math.Floor(math.Log10(low))), high: math.Pow(10, math.Ceil(math.Log10(high)-1e-9)), from: from, to: to}
	if s.high <= s.low {
		s.high = s.low * 10
	}
	return s
}

// plain is a number with as many digits as it needs.
func plain(v float64) string {
	if v >= 1000 {
		return grouped(v)
	}
	return strconv.FormatFloat(v, 'g', 3, 64)
}

// grouped is a whole number with commas between thousands.
func grouped(v float64) string {
	s := strconv.FormatFloat(math.Round(v), 'f', 0, 64)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// short are milliseconds, or seconds where there are many.
func short(ms float64) string {
	switch {
	case ms >= 10_000:
		return grouped(ms/1000) + " s"
	case ms >= 1000:
		return strconv.FormatFloat(ms/1000, 'g', 3, 64) + " s"
	case ms >= 100:
		return strconv.FormatFloat(ms, 'f', 0, 64) + " ms"
	}
	return strconv.FormatFloat(ms, 'g', 2, 64) + " ms"
}

// clock is a time since the beginning.
func clock(seconds float64) string {
	if seconds < 60 {
		return strconv.FormatFloat(seconds, 'g', 3, 64) + " s"
	}
	whole := int(math.Round(seconds))
	if whole >= 3600 {
		return fmt.Sprintf("%d:%02d:%02d", whole/3600, whole/60%60, whole%60)
	}
	return fmt.Sprintf("%d:%02d", whole/60, whole%60)
}
