package cdc

// arena hands out memory for the keys and values of one flush and takes it back all at once. Chunks never move, so what was handed
// out stays valid until reset.
type arena struct {
	chunks [][]byte // all of arenaChunk bytes; chunks[:used] are full or in use
	used   int
	rest   []byte // what is free of the chunk in use, length 0
}

const arenaChunk = 256 << 10

// room returns an empty slice with at least n bytes of capacity. Append to it, then call keep with the result.
func (a *arena) room(n int) []byte {
	if n <= cap(a.rest) {
		return a.rest
	}
	if n > arenaChunk/4 {
		return make([]byte, 0, n) // its own memory, freed by the collector
	}
	if a.used == len(a.chunks) {
		a.chunks = append(a.chunks, make([]byte, arenaChunk))
	}
	a.rest = a.chunks[a.used][:0]
	a.used++
	return a.rest
}

// keep takes b, which was appended to the last room, out of the free memory and returns it.
func (a *arena) keep(b []byte) []byte {
	if n := len(b); n > 0 && n <= cap(a.rest) && &b[0] == &a.rest[:1][0] {
		a.rest = a.rest[n:n:cap(a.rest)]
	}
	return b[:len(b):len(b)]
}

func (a *arena) reset() { a.used, a.rest = 0, nil }
