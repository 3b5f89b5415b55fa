package layer

import (
	"archive/zip"
	"bytes"
	"compress/flate"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash/crc32"
	"os"
	"runtime"
	"sync"

	"github.com/scriptfleet/scriptfleet/pkg/panics"
)

// packed is a compressed file.
type packed struct {
	data []byte
	crc  uint32
}

// compression is the level of deflate. Measured: numpy, pandas and boto3
// together take 2.2 s of CPU at level 1 and 3.8 s at level 4; their zip is 50
// MB and 46 MB.
const compression = 1

// deflaters are reused: making one costs more than compressing a small file,
// and layers have thousands of small files.
var deflaters = sync.Pool{New: func() any {
	w, err := flate.NewWriter(nil, compression)
	if err != nil {
		panic(err) // cannot happen: the level is valid
	}
	return w
}}

// batch is how many files are compressed before they are written. It bounds the
// data in memory.
const batch = 512

// pack zips the tree. Equal trees give equal bytes: names are sorted, times are
// 1980-01-01 (the zip format's first day), and there are two modes.
func pack(t tree) (Layer, error) {
	var out bytes.Buffer
	out.Grow(int(t.bytes() / 3))
	w := zip.NewWriter(&out)
	for len(t) > 0 {
		part := t[:min(batch, len(t))]
		t = t[len(part):]
		if err := packPart(w, part); err != nil {
			return Layer{}, fmt.Errorf("pack layer: %w", err)
		}
	}
	if err := w.Close(); err != nil {
		return Layer{}, fmt.Errorf("pack layer: %w", err)
	}
	sum := sha256.Sum256(out.Bytes())
	return Layer{Zip: out.Bytes(), SHA256: hex.EncodeToString(sum[:])}, nil
}

func packPart(w *zip.Writer, part tree) error {
	done := make([]packed, len(part))
	var g panics.Group
	g.SetLimit(runtime.GOMAXPROCS(0))
	for i, f := range part {
		g.Go(func() (err error) {
			done[i], err = f.compress()
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	for i, f := range part {
		if err := f.write(w, done[i]); err != nil {
			return err
		}
	}
	return nil
}

func (f file) compress() (packed, error) {
	data := f.content
	if f.path != "" {
		var err error
		if data, err = os.ReadFile(f.path); err != nil {
			return packed{}, err
		}
	}
	if int64(len(data)) != f.size {
		return packed{}, fmt.Errorf("%s changed while it was packed", f.name)
	}
	var buf bytes.Buffer
	c := deflaters.Get().(*flate.Writer)
	defer deflaters.Put(c)
	c.Reset(&buf)
	if _, err := c.Write(data); err != nil {
		return packed{}, err
	}
	if err := c.Close(); err != nil {
		return packed{}, err
	}
	return packed{data: buf.Bytes(), crc: crc32.ChecksumIEEE(data)}, nil
}

func (f file) write(w *zip.Writer, p packed) error {
	h := &zip.FileHeader{
		Name: "python/" + f.name, Method: zip.Deflate, CRC32: p.crc,
		CompressedSize64: uint64(len(p.data)), UncompressedSize64: uint64(f.size),
		ModifiedDate: 1<<5 | 1, // 1980-01-01 in MS-DOS format
	}
	h.SetMode(0o644)
	if f.executable {
		h.SetMode(0o755)
	}
	entry, err := w.CreateRaw(h)
	if err != nil {
		return err
	}
	_, err = entry.Write(p.data)
	return err
}
