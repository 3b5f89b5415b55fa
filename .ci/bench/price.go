package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/scriptfleet/scriptfleet/dashboards/prices"
)

// costAt computes the cost of a million runs from the measured counts.
func costAt(p prices.Prices, rate float64, f figures) (c prices.Cost, err error) {
	requests, counted := f[fmt.Sprintf("sqs.%.0f", rate)]
	cpu, timed := f["cpu.fleet"]
	if !counted || !timed {
		return c, errors.New("costs and burst are to be measured first: make bench-update BENCH=costs,burst")
	}
	return p.Cost(prices.Use{Rate: rate, Requests: requests.Value, CPU: cpu.Value, Seconds: prices.FunctionSeconds}), nil
}

// loads are those of the table, in runs a second.
var loads = []float64{20, 200, 2000}

// costTable is the table of README.md.
func costTable(p prices.Prices, f figures) (string, error) {
	var b strings.Builder
	b.WriteString("| a million runs at | SQS | Lambda | Redis | dispatchers, workers | data | together |\n|---|---|---|---|---|---|---|\n")
	for _, rate := range loads {
		c, err := costAt(p, rate, f)
		if err != nil {
			return "", err
		}
		fmt.Fprintf(&b, "| %s/s | $%.2f | $%.2f | $%.2f (%s) | $%.2f | $%.2f | **$%.2f** |\n",
			thousands(rate), c.SQS, c.Lambda, c.Redis, c.Node.Type, c.Fleet, c.Moved, c.Total())
	}
	fmt.Fprintf(&b, "\nList prices of %s, %s ([%s](%s)), no free tier. SQS: %s. Lambda: %.0f MB for %.0f ms. Redis: a primary and a replica that remember runs for four days. Dispatchers and workers: Fargate, %.2f ms of CPU a run, half used, two of each at least. Data: %d KB a run through interface endpoints.\n",
		p.Region, p.Date, prices.File, prices.File, requestsInWords(f), prices.FunctionGB*1024, prices.FunctionSeconds*1000, f["cpu.fleet"].Value, prices.RunKB)
	return b.String(), nil
}

func requestsInWords(f figures) string {
	var parts []string
	for _, rate := range loads {
		parts = append(parts, fmt.Sprintf("%.2f", f[fmt.Sprintf("sqs.%.0f", rate)].Value))
	}
	return strings.Join(parts, ", ") + " requests a run, both hops"
}

func thousands(n float64) string {
	if n < 1000 {
		return fmt.Sprintf("%.0f", n)
	}
	return fmt.Sprintf("%.0f,%03.0f", n/1000, float64(int(n)%1000))
}
