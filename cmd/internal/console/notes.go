package console

import (
	"crypto/rand"
	"sync"
)

// keptNotes bounds notes.
const keptNotes = 100

// notes are sentences about what a person's act did, for the page that the browser
// is led to. The page's address has a note's name and not its text, so that no link
// can have the console say something. The zero value is empty.
type notes struct {
	mu     sync.Mutex
	texts  map[string]string
	oldest []string
}

// add keeps a note, and returns its name.
func (n *notes) add(text string) string {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.texts == nil {
		n.texts = map[string]string{}
	}
	name := rand.Text()
	n.texts[name], n.oldest = text, append(n.oldest, name)
	if len(n.oldest) > keptNotes {
		delete(n.texts, n.oldest[0])
		n.oldest = n.oldest[1:]
	}
	return name
}

// get is a note's text; empty if it is not kept.
func (n *notes) get(name string) string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.texts[name]
}
