package redisledger

import (
	"context"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"

	"github.com/scriptfleet/scriptfleet/pkg/fleettest/redistest"
	"github.com/scriptfleet/scriptfleet/pkg/ledger/ledgertest"
)

var config = Config{Prefix: "test", Keep: ledgertest.Keep, Remember: ledgertest.Remember, Recent: ledgertest.Recent, RecentFor: ledgertest.RecentFor}

func TestContractOnRedis(t *testing.T) {
	s := redistest.Start(t)
	client, fleet := redistest.Connect(t, s.Addr), redistest.Connect(t, s.Addr, redistest.AsFleet(t, s, "test"))
	ledgertest.Run(t, func(t *testing.T, test func(*testing.T, ledgertest.Env)) {
		flush := func() { client.FlushAll(context.Background()) }
		flush()
		pass := func(d time.Duration) { age(t, client, d) }
		test(t, ledgertest.Env{Ledger: New(config, fleet), Pass: pass, Flush: flush})
	})
}

func TestContractOnMiniredis(t *testing.T) {
	ledgertest.Run(t, func(t *testing.T, test func(*testing.T, ledgertest.Env)) {
		m, now := miniredis.RunT(t), time.Now()
		pass := func(d time.Duration) {
			now = now.Add(d)
			m.SetTime(now)
			m.FastForward(d)
		}
		flush := func() {
			m.FlushAll()
			pass(time.Millisecond) // miniredis' clock stands still by itself
		}
		flush()
		test(t, ledgertest.Env{Ledger: New(config, redistest.Connect(t, m.Addr())), Pass: pass, Flush: flush, Slow: true})
	})
}

// age makes all that is stored older by d: TTLs and claims end sooner by d, and
// the times of acceptance and of states move back by d.
func age(t *testing.T, c *redis.Client, d time.Duration) {
	t.Helper()
	const script = `
local d = tonumber(ARGV[1])
for _, key in ipairs(redis.call('KEYS', 'test:runs:*')) do
  local state, since, rest = string.match(redis.call('GET', key), '^([^\n]*)\n([^\n]*)\n(.*)$')
  rest = string.gsub(rest, '^([^\n]*\n[^\n]*\n[^\n]*\n)(%d+)', function(before, till)
    return before .. string.format('%.0f', till - d)
  end)
  redis.call('SET', key, table.concat({ state, string.format('%.3f', since - d / 1000), rest }, '\n'), 'KEEPTTL')
  redis.call('PEXPIRE', key, redis.call('PTTL', key) - d)
end
for _, key in ipairs(redis.call('KEYS', 'test:recent:*')) do
  redis.call('PEXPIRE', key, redis.call('PTTL', key) - d)
end
for _, member in ipairs(redis.call('ZRANGE', 'test:open', 0, -1)) do
  redis.call('ZINCRBY', 'test:open', -d, member)
end`
	redistest.Eval(t, c, script, d.Milliseconds())
}
