package plot

import (
	"math"
	"strings"
	"testing"
)

func TestScalesKeepValuesInTheirFrame(t *testing.T) {
	for name, s := range map[string]Scale{
		"linear": UpTo(7, 100, 0), "nothing": UpTo(0, 100, 0), "decades": Decades(3, 4000, 100, 0), "one decade": Decades(1, 1, 100, 0), "zeros": Decades(0, 0, 100, 0),
	} {
		for _, v := range []float64{-1, 0, 1e-9, 1, 3, 4000, 1e12} {
			if at := s.At(v); !(at >= 0 && at <= 100) {
				t.Errorf("%s: %g is at %g", name, v, at)
			}
		}
		ticks := s.Ticks(4, Plain)
		if len(ticks) < 2 || len(ticks) > 9 || ticks[0].At != 100 || ticks[len(ticks)-1].At != 0 {
			t.Errorf("%s: its ticks are %v", name, ticks)
		}
	}
}

func TestTimesAreRound(t *testing.T) {
	for high, want := range map[float64]string{0: "0 s", 4: "0 s,1 s,2 s,3 s,4 s", 100: "0 s,30 s,1:00,1:30", 600: "0 s,2:00,4:00,6:00,8:00,10:00", 8000: "0 s,30:00,1:00:00,1:30:00,2:00:00"} {
		var got []string
		for _, tick := range (Scale{High: high}).Times(6) {
			got = append(got, tick.Text)
		}
		if strings.Join(got, ",") != want {
			t.Errorf("up to %g: %v", high, got)
		}
	}
}

func TestFiguresAreShort(t *testing.T) {
	for _, c := range []struct{ got, want string }{
		{Short(0.25), "0.25 ms"}, {Short(12), "12 ms"}, {Short(123.4), "123 ms"}, {Short(1234), "1.23 s"}, {Short(123_456), "123 s"},
		{Clock(5), "5 s"}, {Clock(90), "1:30"}, {Clock(3723), "1:02:03"}, {Plain(0.5), "0.5"}, {Plain(12_345), "12,345"},
	} {
		if c.got != c.want {
			t.Errorf("%q, not %q", c.got, c.want)
		}
	}
}

func TestAnAreaHasAPartForEachPartOfItsLine(t *testing.T) {
	no := math.NaN()
	if got, want := Area([]float64{1, 2, 3, 4, 5}, []float64{7, 8, no, 9, no}, 10), "M1.0,10.0L1.0,7.0L2.0,8.0L2.0,10.0ZM4.0,10.0L4.0,9.0L4.0,10.0Z"; got != want {
		t.Errorf("it is %s, not %s", got, want)
	}
}
