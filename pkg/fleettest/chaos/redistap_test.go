package chaos

import (
	"bufio"
	"bytes"
	"crypto/sha1"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// redisTap is a proxy in front of Redis. It recognises Lua scripts: the fleet
// makes all calls that matter here as scripts.
type redisTap struct {
	holds
	upstream string
	ledger   string // digest of its script
}

func newRedisTap(t *testing.T, upstream string, seen func(call)) (tap *redisTap, addr string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	tap = &redisTap{holds: holds{seen: seen}, upstream: upstream, ledger: ledgerScript(t)}
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			go tap.serve(client)
		}
	})
	t.Cleanup(func() { listener.Close(); serving.Wait() })
	return tap, listener.Addr().String()
}

// ledgerScript is the digest of the ledger's script, as EVALSHA has it: of its parts
// in the order of package redisledger.
func ledgerScript(t *testing.T) string {
	t.Helper()
	var script []byte
	for _, part := range []string{"record.lua", "books.lua", "recent.lua", "calls.lua"} {
		text, err := os.ReadFile(filepath.Join("..", "..", "ledger", "redisledger", "lua", part))
		if err != nil {
			t.Fatal(err)
		}
		script = append(script, text...)
	}
	return digest(script)
}

// ledgerCalls are the names of calls in the ledger's script.
var ledgerCalls = []string{"accept", "claim", "renew", "invoking", "wait", "release", "finish", "published", "cancel"}

// made are the names of the calls that a script makes, in one word each.
func made(args []string) string {
	var names []string
	for _, name := range ledgerCalls {
		if slices.Contains(args, name) {
			names = append(names, name)
		}
	}
	return strings.Join(names, " ")
}

func digest(script []byte) string {
	sum := sha1.Sum(script)
	return hex.EncodeToString(sum[:])
}

// serve forwards one connection until either side closes it.
func (r *redisTap) serve(client net.Conn) {
	defer client.Close()
	server, err := net.Dial("tcp", r.upstream)
	if err != nil {
		return
	}
	defer server.Close()
	held := &heldAnswer{}
	go func() {
		defer client.Close()
		defer server.Close()
		held.copy(client, server)
	}()
	commands := bufio.NewReader(client)
	for {
		raw, args, err := readCommand(commands)
		if err != nil {
			return
		}
		c := r.recognise(args)
		r.seen(c)
		r.pass(before, c)
		if hold := r.find(after, c); hold != nil {
			held.set(hold)
		}
		if _, err := server.Write(raw); err != nil {
			return
		}
	}
}

// heldAnswer is the answer that is to be held on one connection.
type heldAnswer struct {
	mu   sync.Mutex
	hold *hold
}

func (h *heldAnswer) set(hold *hold) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.hold = hold
}

func (h *heldAnswer) take() *hold {
	h.mu.Lock()
	defer h.mu.Unlock()
	hold := h.hold
	h.hold = nil
	return hold
}

func (h *heldAnswer) copy(client io.Writer, server io.Reader) {
	buffer := make([]byte, 64<<10)
	for {
		n, err := server.Read(buffer)
		// After NOSCRIPT the client sends the whole script again.
		if hold := h.take(); hold != nil && !bytes.HasPrefix(buffer[:n], []byte("-NOSCRIPT")) {
			hold.stop()
		}
		if _, errWrite := client.Write(buffer[:n]); err != nil || errWrite != nil {
			return
		}
	}
}

func (r *redisTap) recognise(args []string) call {
	c := call{service: "redis", op: strings.ToLower(args[0]), body: strings.Join(args, " ")}
	switch {
	case len(args) > 3 && (c.op == "evalsha" && args[1] == r.ledger || c.op == "eval" && digest([]byte(args[1])) == r.ledger):
		c.op, c.target = made(args), args[3]
	case len(args) > 3 && (c.op == "evalsha" || c.op == "eval"): // of another part
		c.op, c.target = "", args[3]
	case len(args) > 1:
		c.target = args[1]
	}
	return c
}

// readCommand reads one array of bulk strings; raw are its bytes.
func readCommand(r *bufio.Reader) (raw []byte, args []string, err error) {
	n, raw, err := readCount(r, nil, '*')
	for range n {
		var size int
		if size, raw, err = readCount(r, raw, '$'); err != nil {
			return nil, nil, err
		}
		arg := make([]byte, size+2)
		if _, err = io.ReadFull(r, arg); err != nil {
			return nil, nil, err
		}
		raw, args = append(raw, arg...), append(args, string(arg[:size]))
	}
	if err == nil && len(args) == 0 {
		err = fmt.Errorf("a command of nothing")
	}
	return raw, args, err
}

func readCount(r *bufio.Reader, raw []byte, kind byte) (int, []byte, error) {
	line, err := r.ReadBytes('\n')
	if err != nil {
		return 0, nil, err
	}
	if line[0] != kind {
		return 0, nil, fmt.Errorf("%q is no %q", line, kind)
	}
	n, err := strconv.Atoi(strings.TrimSpace(string(line[1:])))
	return n, append(raw, line...), err
}
