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
	scripts  map[string]string // names by digest
}

func newRedisTap(t *testing.T, upstream string, seen func(call)) (tap *redisTap, addr string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	tap = &redisTap{holds: holds{seen: seen}, upstream: upstream, scripts: ledgerScripts(t)}
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

// ledgerScripts maps digests, as EVALSHA has them, to the names of the ledger's
// scripts.
func ledgerScripts(t *testing.T) map[string]string {
	t.Helper()
	dir := filepath.Join("..", "..", "ledger", "redisledger", "lua")
	prelude, err := os.ReadFile(filepath.Join(dir, "prelude.lua"))
	if err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(dir, "*.lua"))
	if err != nil {
		t.Fatal(err)
	}
	names := map[string]string{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		names[digest(append(prelude[:len(prelude):len(prelude)], text...))] = strings.TrimSuffix(filepath.Base(file), ".lua")
	}
	return names
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
	case len(args) > 3 && c.op == "evalsha":
		c.op, c.target = r.scripts[args[1]], args[3]
	case len(args) > 3 && c.op == "eval":
		c.op, c.target = r.scripts[digest([]byte(args[1]))], args[3]
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
