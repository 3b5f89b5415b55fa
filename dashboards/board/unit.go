package board

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Text writes a value with its unit, as Grafana does.
func (p Panel) Text(v float64) string {
	switch p.Unit {
	case Seconds:
		return duration(v)
	case Share:
		return fixed(100*v, p.Decimals) + " %"
	case PerSecond, Ops:
		return short(v, p.Decimals) + " /s"
	case Bytes:
		return scaled(v, 1024, []string{" B", " KiB", " MiB", " GiB", " TiB"}, p.Decimals)
	case Dollars:
		return "$" + short(v, p.Decimals)
	}
	return short(v, p.Decimals)
}

func short(v float64, decimals int) string {
	return scaled(v, 1000, []string{"", " K", " Mil", " Bil"}, decimals)
}

func scaled(v, base float64, units []string, decimals int) string {
	n := 0
	for math.Abs(v) >= base && n < len(units)-1 {
		v, n = v/base, n+1
	}
	if n > 0 {
		decimals = max(decimals, 1)
	}
	return fixed(v, decimals) + units[n]
}

func duration(s float64) string {
	switch size := math.Abs(s); {
	case size == 0:
		return "0 s"
	case size < 0.001:
		return fixed(s*1e6, 0) + " µs"
	case size < 1:
		return fixed(s*1e3, 1) + " ms"
	case size < 120:
		return fixed(s, 2) + " s"
	case size < 7200:
		return fixed(s/60, 1) + " min"
	default:
		return fixed(s/3600, 1) + " h"
	}
}

// fixed writes a number with at most so many decimals.
func fixed(v float64, decimals int) string {
	text := strconv.FormatFloat(v, 'f', decimals, 64)
	if strings.Contains(text, ".") {
		text = strings.TrimRight(strings.TrimRight(text, "0"), ".")
	}
	if text == "-0" {
		return "0"
	}
	if v != 0 && text == "0" {
		return fmt.Sprintf("%.1g", v)
	}
	return text
}
