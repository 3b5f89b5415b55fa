// Package prices holds list prices of AWS, and computes from measured counts what
// runs cost: for the dashboards, make bench and make scale.
package prices

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"math"
	"slices"
)

// File holds the prices; its path is from the root of the project.
const File = "dashboards/prices/prices.json"

//go:embed prices.json
var list []byte

// Prices are list prices without a free tier or discounts; sizes in GB are GiB.
type Prices struct {
	Region   string
	Date     string
	Currency string

	SQSMillion        float64     `json:"sqs_million_requests"`
	SQSFairMillion    float64     `json:"sqs_fair_million_requests"` // on top, as all messages have a group
	LambdaMillion     float64     `json:"lambda_million_requests"`
	LambdaGBSecond    float64     `json:"lambda_gb_second"`
	LambdaGBSecondArm float64     `json:"lambda_gb_second_arm64"`
	FargateVCPUHour   float64     `json:"fargate_vcpu_hour"`
	FargateGBHour     float64     `json:"fargate_gb_hour"`
	EndpointGB        float64     `json:"endpoint_gb"` // through an interface endpoint
	RedisNodes        []RedisNode `json:"redis_nodes"` // by size
}

// RedisNode is a type of node of ElastiCache.
type RedisNode struct {
	Type string
	GB   float64
	Hour float64
}

// List returns the prices of File.
func List() Prices {
	var p Prices
	if err := json.Unmarshal(list, &p); err != nil || len(p.RedisNodes) == 0 {
		panic(fmt.Sprintf("prices: read %s, with %d redis_nodes: %v", File, len(p.RedisNodes), err))
	}
	return p
}

// What is assumed of a run and of an installation. README.md states it.
const (
	Million = 1e6

	FunctionGB      = 0.125 // memory of a function: 128 MB
	FunctionSeconds = 0.1   // billed for a run, unless it is measured
	RunKB           = 16    // of a run through endpoints: received and sent twice, invoked, answered

	IdentityBytes = 136           // in Redis, of a published run (deploy/README.md)
	RememberedFor = 4 * 24 * 3600 // seconds
	RedisFill     = 0.75          // of a node's memory that may be used
	redisNodes    = 2             // a primary and a replica

	FleetLoad   = 0.5 // of its CPU that the fleet may use
	leastVCPU   = 1.5 // two dispatchers of a quarter and two workers of a half
	vCPUNeedsGB = 2
)

// Use is what runs use.
type Use struct {
	Rate     float64 // runs a second
	Requests float64 // of SQS, for each run
	CPU      float64 // of dispatchers and workers, in ms for each run
	Seconds  float64 // billed by Lambda for each run
}

// RedisGB is the memory that the records of runs need, of a primary.
func (u Use) RedisGB() float64 { return u.Rate * RememberedFor * IdentityBytes / (1 << 30) / RedisFill }

// VCPUs is the size of dispatchers and workers together.
func (u Use) VCPUs() float64 { return max(leastVCPU, u.Rate*u.CPU/1000/FleetLoad) }

// Cost is what a million runs cost, by part, in the currency of the prices.
type Cost struct {
	Node                             RedisNode
	Shards                           int // of Redis; above 1 only if no node is large enough
	SQS, Lambda, Redis, Fleet, Moved float64
}

// Total is the sum of the parts.
func (c Cost) Total() float64 { return c.SQS + c.Lambda + c.Redis + c.Fleet + c.Moved }

// Cost is the cost of a million runs. There must be a node of Redis.
func (p Prices) Cost(u Use) (c Cost) {
	hours := Million / u.Rate / 3600
	need := u.RedisGB()
	c.Node, c.Shards = p.RedisNodes[len(p.RedisNodes)-1], 1
	if i := slices.IndexFunc(p.RedisNodes, func(n RedisNode) bool { return n.GB >= need }); i >= 0 {
		c.Node = p.RedisNodes[i]
	} else {
		c.Shards = int(math.Ceil(need / c.Node.GB))
	}
	c.SQS = u.Requests * (p.SQSMillion + p.SQSFairMillion)
	c.Lambda = p.LambdaMillion + Million*FunctionGB*u.Seconds*p.LambdaGBSecond
	c.Redis = redisNodes * float64(c.Shards) * c.Node.Hour * hours
	c.Fleet = u.VCPUs() * hours * (p.FargateVCPUHour + vCPUNeedsGB*p.FargateGBHour)
	c.Moved = Million * RunKB / (1 << 20) * p.EndpointGB
	return c
}
