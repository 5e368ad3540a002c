package exactlyonce

import (
	"bytes"
	"io"
	"slices"
	"sync"
)

// journalLines is how many of its last lines a journal keeps.
const journalLines = 12

// journal passes on what a relay logs and keeps its last lines: they say what it does that does not get on. It is safe for concurrent use.
type journal struct {
	next io.Writer

	mu    sync.Mutex
	lines [][]byte
	rest  []byte // of a line that has not ended
}

// Write implements [io.Writer].
func (j *journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.rest = append(j.rest, p...)
	for {
		line, rest, ended := bytes.Cut(j.rest, []byte("\n"))
		if !ended {
			break
		}
		j.lines, j.rest = append(j.lines, bytes.Clone(line)), rest
	}
	j.lines = j.lines[max(0, len(j.lines)-journalLines):]
	return j.next.Write(p)
}

// last returns the last lines.
func (j *journal) last() [][]byte {
	j.mu.Lock()
	defer j.mu.Unlock()
	return slices.Clone(j.lines)
}
