package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
)

// prices are list prices without a free tier or discounts; sizes in GB are GiB.
type prices struct {
	Region   string
	Date     string
	Currency string

	SQSMillion      float64     `json:"sqs_million_requests"`
	SQSFairMillion  float64     `json:"sqs_fair_million_requests"` // on top, as all messages have a group
	LambdaMillion   float64     `json:"lambda_million_requests"`
	LambdaGBSecond  float64     `json:"lambda_gb_second"`
	FargateVCPUHour float64     `json:"fargate_vcpu_hour"`
	FargateGBHour   float64     `json:"fargate_gb_hour"`
	EndpointGB      float64     `json:"endpoint_gb"` // through an interface endpoint
	RedisNodes      []redisNode `json:"redis_nodes"` // by size
}

type redisNode struct {
	Type string
	GB   float64
	Hour float64
}

const pricesFile = "pkg/telemetry/prices.json"

func readPrices(file string) (p prices, err error) {
	content, err := os.ReadFile(file)
	if err != nil {
		return p, err
	}
	if err := json.Unmarshal(content, &p); err != nil {
		return p, fmt.Errorf("read %s: %w", file, err)
	}
	return p, nil
}

// What is assumed of a run and of an installation. README.md states it.
const (
	million = 1e6

	functionGB      = 0.125 // memory of a function: 128 MB
	functionSeconds = 0.1   // billed for a run
	runKB           = 16    // of a run through endpoints: received and sent twice, invoked, answered

	identityBytes = 136           // in Redis, of a published run (deploy/README.md)
	rememberedFor = 4 * 24 * 3600 // seconds
	redisFill     = 0.75          // of a node's memory that may be used
	redisNodes    = 2             // a primary and a replica

	fleetLoad   = 0.5 // of its CPU that the fleet may use
	leastVCPU   = 1.5 // two dispatchers of a quarter and two workers of a half
	vCPUNeedsGB = 2
)

// cost is what a million runs cost at a load.
type cost struct {
	rate                             float64 // runs a second
	node                             string  // of Redis
	sqs, lambda, redis, fleet, moved float64
}

func (c cost) total() float64 { return c.sqs + c.lambda + c.redis + c.fleet + c.moved }

// costAt computes a cost from the measured counts.
func (p prices) costAt(rate float64, f figures) (c cost, err error) {
	requests, counted := f[fmt.Sprintf("sqs.%.0f", rate)]
	cpu, timed := f["cpu.fleet"]
	if !counted || !timed {
		return c, errors.New("costs and burst are to be measured first: make bench-update BENCH=costs,burst")
	}
	hours := million / rate / 3600
	need := rate * rememberedFor * identityBytes / (1 << 30) / redisFill
	i := slices.IndexFunc(p.RedisNodes, func(n redisNode) bool { return n.GB >= need })
	if i < 0 {
		return c, fmt.Errorf("no node of %s has %.0f GB: add a larger one", pricesFile, need)
	}
	vCPUs := max(leastVCPU, rate*cpu.Value/1000/fleetLoad)
	return cost{
		rate: rate, node: p.RedisNodes[i].Type,
		sqs:    requests.Value * (p.SQSMillion + p.SQSFairMillion),
		lambda: p.LambdaMillion + million*functionGB*functionSeconds*p.LambdaGBSecond,
		redis:  redisNodes * p.RedisNodes[i].Hour * hours,
		fleet:  vCPUs * hours * (p.FargateVCPUHour + vCPUNeedsGB*p.FargateGBHour),
		moved:  million * runKB / (1 << 20) * p.EndpointGB,
	}, nil
}

// loads are those of the table, in runs a second.
var loads = []float64{20, 200, 2000}

// costTable is the table of README.md.
func costTable(p prices, f figures) (string, error) {
	var b strings.Builder
	b.WriteString("| a million runs at | SQS | Lambda | Redis | dispatchers, workers | data | together |\n|---|---|---|---|---|---|---|\n")
	for _, rate := range loads {
		c, err := p.costAt(rate, f)
		if err != nil {
			return "", err
		}
		fmt.Fprintf(&b, "| %s/s | $%.2f | $%.2f | $%.2f (%s) | $%.2f | $%.2f | **$%.2f** |\n",
			thousands(rate), c.sqs, c.lambda, c.redis, c.node, c.fleet, c.moved, c.total())
	}
	fmt.Fprintf(&b, "\nList prices of %s, %s ([%s](%s)), no free tier. SQS: %s. Lambda: %.0f MB for %.0f ms. Redis: a primary and a replica that remember runs for four days. Dispatchers and workers: Fargate, %.2f ms of CPU a run, half used, two of each at least. Data: %d KB a run through interface endpoints.\n",
		p.Region, p.Date, pricesFile, pricesFile, requestsInWords(f), functionGB*1024, functionSeconds*1000, f["cpu.fleet"].Value, runKB)
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
