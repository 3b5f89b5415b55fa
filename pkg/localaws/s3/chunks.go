package s3

import (
	"bufio"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// chunks reads the data of an aws-chunked body, which has the format
//
//	SIZE-IN-HEX[;chunk-signature=…]\r\n DATA \r\n … 0[;…]\r\n [trailers] \r\n
//
// It returns io.EOF at the chunk of size 0 and does not read the trailers.
type chunks struct {
	body  *bufio.Reader
	left  int64 // bytes left of the current chunk
	first bool
	err   error
}

func newChunks(body io.Reader) *chunks {
	return &chunks{body: bufio.NewReader(body), first: true}
}

func (c *chunks) Read(p []byte) (int, error) {
	if c.err == nil && c.left == 0 {
		c.err = c.next()
	}
	if c.err != nil {
		return 0, c.err
	}
	if int64(len(p)) > c.left {
		p = p[:c.left]
	}
	n, err := c.body.Read(p)
	c.left -= int64(n)
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	c.err = err
	return n, err
}

// next reads the header of a chunk.
func (c *chunks) next() error {
	if !c.first {
		if end, err := c.line(); err != nil || end != "" {
			return fmt.Errorf("read chunk: it does not end where it said")
		}
	}
	c.first = false
	head, err := c.line()
	if err != nil {
		return err
	}
	size, _, _ := strings.Cut(head, ";")
	n, err := strconv.ParseUint(size, 16, 62)
	if err != nil {
		return fmt.Errorf("read chunk: its size %q is no number", size)
	}
	if n == 0 {
		return io.EOF
	}
	c.left = int64(n)
	return nil
}

func (c *chunks) line() (string, error) {
	line, err := c.body.ReadSlice('\n')
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		return "", fmt.Errorf("read chunk: %w", err)
	}
	return strings.TrimRight(string(line), "\r\n"), nil
}
