package function

import (
	"archive/zip"
	"bytes"
	"compress/flate"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"sync"

	"github.com/scriptfleet/scriptfleet/pkg/interpreter"
	"github.com/scriptfleet/scriptfleet/pkg/run"
)

// Packager makes the zips of functions.
type Packager struct {
	// Interpreters compile a script before it is built. Without one of the
	// script's runtime, the function's first import compiles it.
	Interpreters interpreter.Set
}

// Pack returns the zip of a script's function: the same bytes for the same
// script and interpreter. It fails with a *run.Error for a fault of the script,
// or with ctx's error.
func (p Packager) Pack(ctx context.Context, s run.Script) ([]byte, error) {
	if len(s.Source) > run.MaxScriptBytes {
		return nil, &run.Error{Owner: run.OwnerAuthor, Type: "ScriptTooLarge", Field: "data.script",
			Message: fmt.Sprintf("data.script is %d bytes long, and a script has %d at most: move its data elsewhere, or its code into a requirement.",
				len(s.Source), run.MaxScriptBytes)}
	}
	files, err := p.compileAll(ctx, s)
	if err != nil {
		return nil, err
	}
	return zipOf(append(files, contents(s)...))
}

// contents are a function's files, without the script's bytecode.
func contents(s run.Script) []file {
	files := append(sourceFiles(s), file{name: timeoutFile, body: fmt.Append(nil, s.TimeoutSeconds)})
	if s.Runtime.Zip != "" {
		files = append(files, file{name: bootstrapFile, body: bootstrap, program: true})
	}
	return append(files, modules(handlerFiles(), s)...)
}

func sourceFiles(s run.Script) []file {
	files := []file{{name: pythonFile, body: []byte(s.Source)}}
	switch {
	case s.Runner:
		fields, _ := json.Marshal(s.HashFields()) // strings
		files = []file{{name: runnerFile, body: fields}}
	case s.Runtime.Shell && s.Sealed:
		files = []file{{name: shellFile, body: []byte(s.Source)}, {name: sealedFile}}
	case s.Runtime.Shell:
		files[0].name = shellFile
	case s.Sealed:
		files[0].name = sealedFile
	}
	return files
}

type file struct {
	name string
	body []byte

	program bool // Lambda starts it

	// packed is the body compressed, for a file of many functions; nil otherwise.
	packed func() []byte
}

// shared is a file that is compressed once, when it is first packed.
func shared(name string, body []byte) file {
	return file{name: name, body: body, packed: sync.OnceValue(func() []byte { return deflate(body) })}
}

func deflate(body []byte) []byte {
	var out bytes.Buffer
	w, err := flate.NewWriter(&out, flate.DefaultCompression)
	if err == nil {
		_, err = w.Write(body)
	}
	if err := errors.Join(err, w.Close()); err != nil {
		panic(err) // cannot happen: the level is valid, and a buffer takes all
	}
	return out.Bytes()
}

// zipped is the body compressed.
func (f file) zipped() []byte {
	if f.packed != nil {
		return f.packed()
	}
	return deflate(f.body)
}

// zipOf zips the files in the given order. Times and modes are fixed, so the
// bytes depend only on the files.
func zipOf(files []file) ([]byte, error) {
	var out bytes.Buffer
	w := zip.NewWriter(&out)
	for _, f := range files {
		data := f.zipped()
		h := &zip.FileHeader{
			Name: f.name, Method: zip.Deflate, CRC32: crc32.ChecksumIEEE(f.body),
			CompressedSize64: uint64(len(data)), UncompressedSize64: uint64(len(f.body)),
			ModifiedDate: 1<<5 | 1, // 1980-01-01 in MS-DOS format
		}
		h.SetMode(0o644)
		if f.program {
			h.SetMode(0o755)
		}
		entry, err := w.CreateRaw(h)
		if err != nil {
			return nil, fmt.Errorf("zip %s: %w", f.name, err)
		}
		if _, err := entry.Write(data); err != nil {
			return nil, fmt.Errorf("zip %s: %w", f.name, err)
		}
	}
	if err := w.Close(); err != nil {
		return nil, fmt.Errorf("zip function: %w", err)
	}
	return out.Bytes(), nil
}
