package board

import (
	"math"
	"regexp"
	"time"
)

// Series is one line of a panel. A gap in it is a time without a point.
type Series struct {
	Name   string
	Points []Point // by time
}

// Point is a value at a time; never NaN.
type Point struct {
	At    time.Time
	Value float64
}

// Last is the last value.
func (s Series) Last() float64 { return s.Points[len(s.Points)-1].Value }

// Max is the highest value.
func (s Series) Max() float64 {
	most := math.Inf(-1)
	for _, p := range s.Points {
		most = max(most, p.Value)
	}
	return most
}

var placeholder = regexp.MustCompile(`\{\{\s*(\w+)\s*\}\}`)

// Name is the name of a series with these labels. Without a legend it is that of
// its panel.
func (q Query) Name(p Panel, labels map[string]string) string {
	if q.Legend == "" {
		return p.Title
	}
	return placeholder.ReplaceAllStringFunc(q.Legend, func(m string) string { return labels[placeholder.FindStringSubmatch(m)[1]] })
}
