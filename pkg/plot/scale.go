package plot

import (
	"fmt"
	"math"
	"strconv"
)

// Scale maps values to places in a plot.
type Scale struct {
	Log       bool
	Low, High float64 // values
	From, To  float64 // places
}

// At is the place of a value; a value outside of the Scale is at its end.
func (s Scale) At(v float64) float64 {
	v = min(max(v, s.Low), s.High)
	low, high := s.Low, s.High
	if s.Log {
		v, low, high = math.Log10(v), math.Log10(low), math.Log10(high)
	}
	if high == low {
		return s.From
	}
	return s.From + (s.To-s.From)*(v-low)/(high-low)
}

// Tick is a mark of an axis.
type Tick struct {
	At   float64
	Text string
}

// Ticks are marks at round values, about n of them, or at the powers of ten.
func (s Scale) Ticks(n int, text func(float64) string) []Tick {
	var all []Tick
	add := func(v float64) { all = append(all, Tick{s.At(v), text(v)}) }
	if s.Log {
		for v := math.Pow(10, math.Ceil(math.Log10(s.Low)-1e-9)); v <= s.High*1.000001; v *= 10 {
			add(v)
		}
		return all
	}
	step := round((s.High - s.Low) / float64(n))
	if step <= 0 {
		return []Tick{{s.At(s.Low), text(s.Low)}}
	}
	for i := math.Ceil(s.Low / step); i*step <= s.High*1.000001; i++ {
		add(i * step)
	}
	return all
}

// Times are about n marks of a Scale of seconds.
func (s Scale) Times(n int) []Tick {
	step := round(s.High / float64(n))
	for _, whole := range []float64{10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400} {
		if step > 5 && whole >= s.High/float64(n) {
			step = whole
			break
		}
	}
	if step == 0 {
		return []Tick{{s.At(0), Clock(0)}}
	}
	var all []Tick
	for v := 0.0; v <= s.High*1.000001; v += step {
		all = append(all, Tick{s.At(v), Clock(v)})
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

// UpTo is a linear Scale from 0 to a round value that is at least v.
func UpTo(v, from, to float64) Scale {
	step := round(v / 4)
	if step == 0 {
		return Scale{High: 1, From: from, To: to}
	}
	return Scale{High: math.Ceil(v/step-1e-9) * step, From: from, To: to}
}

// Decades is a logarithmic Scale of whole powers of ten around the values.
func Decades(low, high, from, to float64) Scale {
	low, high = max(low, 1e-3), max(high, 1e-3)
	s := Scale{Log: true, Low: math.Pow(10, math.Floor(math.Log10(low))), High: math.Pow(10, math.Ceil(math.Log10(high)-1e-9)), From: from, To: to}
	if s.High <= s.Low {
		s.High = s.Low * 10
	}
	return s
}

// Plain is a number with as many digits as it needs.
func Plain(v float64) string {
	if v >= 1000 {
		return Grouped(v)
	}
	return strconv.FormatFloat(v, 'g', 3, 64)
}

// Grouped is a whole number with commas between thousands.
func Grouped(v float64) string {
	s := strconv.FormatFloat(math.Round(v), 'f', 0, 64)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// Short are milliseconds, or seconds where there are many.
func Short(ms float64) string {
	switch {
	case ms >= 10_000:
		return Grouped(ms/1000) + " s"
	case ms >= 1000:
		return strconv.FormatFloat(ms/1000, 'g', 3, 64) + " s"
	case ms >= 100:
		return strconv.FormatFloat(ms, 'f', 0, 64) + " ms"
	}
	return strconv.FormatFloat(ms, 'g', 2, 64) + " ms"
}

// Clock is a time since the beginning, in seconds.
func Clock(seconds float64) string {
	if seconds < 60 {
		return strconv.FormatFloat(seconds, 'g', 3, 64) + " s"
	}
	whole := int(math.Round(seconds))
	if whole >= 3600 {
		return fmt.Sprintf("%d:%02d:%02d", whole/3600, whole/60%60, whole%60)
	}
	return fmt.Sprintf("%d:%02d", whole/60, whole%60)
}

// Highest is the greatest of the values that are numbers; 0 if there is none above.
func Highest(all ...[]float64) (most float64) {
	for _, values := range all {
		for _, v := range values {
			if v > most { // no number is not
				most = v
			}
		}
	}
	return most
}

// Lowest is the least value above 0; 1 if there is none.
func Lowest(values []float64) float64 {
	least := 0.0
	for _, v := range values {
		if v > 0 && (least == 0 || v < least) {
			least = v
		}
	}
	if least == 0 {
		return 1
	}
	return least
}
