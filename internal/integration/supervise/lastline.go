package supervise

import (
	"bytes"
	"sync"
)

// LastLine is a writer that keeps the last line written to it. It is safe for concurrent use.
type LastLine struct {
	mu   sync.Mutex
	line []byte
	rest []byte
}

// Write never fails.
func (l *LastLine) Write(text []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.rest = append(l.rest, text...)
	for {
		line, rest, found := bytes.Cut(l.rest, []byte("\n"))
		if !found {
			return len(text), nil
		}
		l.line, l.rest = bytes.Clone(line), rest
	}
}

// String returns the last whole line.
func (l *LastLine) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return string(l.line)
}
