package localaws

import (
	"testing"

	goredis "github.com/redis/go-redis/v9"
	"go.uber.org/zap"

	"github.com/scriptfleet/scriptfleet/pkg/panics"
)

// BenchmarkRedisScript is one short Lua script through the door, on each kind of
// server.
func BenchmarkRedisScript(b *testing.B) {
	for name, program := range map[string]string{"server": redisProgram, "miniredis": "/no/such/program"} {
		b.Run(name, func(b *testing.B) {
			r, err := startRedis("127.0.0.1:0", testPassword, program, b.TempDir(), panics.Guard{Log: zap.NewNop()})
			if err != nil {
				b.Fatal(err)
			}
			defer r.close()
			c := connected(b, r)
			script := goredis.NewScript(`
if redis.call('SET', KEYS[1], ARGV[1], 'NX', 'PX', 60000) then return redis.call('INCR', KEYS[2]) end
redis.call('DEL', KEYS[1])
return 0`)
			for b.Loop() {
				if err := script.Run(b.Context(), c, []string{"lease", "fence"}, "owner").Err(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
