package chaos

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/Shopify/toxiproxy/v2"
	"github.com/rs/zerolog"
)

// line is the connection of one process to one server, through toxiproxy.
type line struct {
	t     *testing.T
	proxy *toxiproxy.Proxy
	addr  string // the address for the process
}

var toxi = sync.OnceValue(func() *toxiproxy.ApiServer {
	return toxiproxy.NewServer(toxiproxy.NewMetricsContainer(nil), zerolog.Nop())
})

// newLine opens a line to an address, the one of a tap.
func newLine(t *testing.T, upstream string) *line {
	t.Helper()
	proxy := toxiproxy.NewProxy(toxi(), t.Name()+upstream, "127.0.0.1:0", upstream)
	if err := proxy.Start(); err != nil {
		t.Fatalf("start toxiproxy: %v", err)
	}
	t.Cleanup(proxy.Stop)
	return &line{t: t, proxy: proxy, addr: proxy.Listen}
}

// cut breaks all connections and refuses new ones, until mend.
func (l *line) cut() { l.proxy.Stop() }

func (l *line) mend() {
	l.t.Helper()
	if err := l.proxy.Start(); err != nil {
		l.t.Fatalf("mend a line: %v", err)
	}
}

// slow delays every answer by ms milliseconds, until fast.
func (l *line) slow(ms int) {
	l.toxic(fmt.Sprintf(`{"name":"slow","type":"latency","attributes":{"latency":%d}}`, ms))
}

func (l *line) fast() { l.heal("slow") }

// swallow discards all data in both directions and keeps the connections open,
// until spit.
func (l *line) swallow() {
	l.toxic(`{"name":"down","type":"timeout","stream":"downstream","attributes":{"timeout":0}}`)
	l.toxic(`{"name":"up","type":"timeout","stream":"upstream","attributes":{"timeout":0}}`)
}

func (l *line) spit() { l.heal("down"); l.heal("up") }

func (l *line) toxic(json string) {
	l.t.Helper()
	if _, err := l.proxy.Toxics.AddToxicJson(strings.NewReader(json)); err != nil {
		l.t.Fatalf("add a toxic: %v", err)
	}
}

func (l *line) heal(name string) {
	l.t.Helper()
	if err := l.proxy.Toxics.RemoveToxic(l.t.Context(), name); err != nil {
		l.t.Fatalf("remove a toxic: %v", err)
	}
}
