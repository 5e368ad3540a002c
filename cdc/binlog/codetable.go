package binlog

import (
	"bytes"
	"compress/flate"
	_ "embed"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"sync"
)

// codeTables holds the characters of each character set that is neither Unicode nor ASCII, as the servers themselves convert them:
// libraries differ from them in thousands of characters. It is written by internal/integration/binlog (go test -run TestCharsets
// -update), whose test compares every character.
//
//go:embed charsets.bin
var codeTables []byte

// codeTable maps the codes of one character set to Unicode. No code is the beginning of another.
type codeTable struct {
	short [1 << 16]uint16 // one byte, and two with the first not zero; 0 where there is none
	long  map[uint32]rune // three and four bytes, and what does not fit into short
	wide  bool            // has codes of more than one byte
	gb    bool            // gb18030: four bytes from 0x90308130 on are counted
	euc   bool            // ujis, eucjpms: three bytes from 0x8f on
}

var loaded struct {
	sync.Mutex
	tables map[string]*codeTable
}

// loadCodeTable returns a character set's table, shared by all that ask.
func loadCodeTable(name string) (*codeTable, error) {
	loaded.Lock()
	defer loaded.Unlock()
	if t := loaded.tables[name]; t != nil {
		return t, nil
	}
	all, err := decodeCodeTables(codeTables)
	if err != nil {
		return nil, fmt.Errorf("character sets: %w", err)
	}
	codes, ok := all[name]
	if !ok {
		return nil, fmt.Errorf("character set %s is not supported. Fix: convert the column to utf8mb4, or exclude the table", name)
	}
	t := &codeTable{long: map[uint32]rune{}, gb: name == "gb18030", euc: name == "ujis" || name == "eucjpms"}
	for code, r := range codes {
		t.wide = t.wide || code > 0xff
		if code < 1<<16 && r < 1<<16 && r > 0 {
			t.short[code] = uint16(r)
		} else {
			t.long[code] = r
		}
	}
	if loaded.tables == nil {
		loaded.tables = map[string]*codeTable{}
	}
	loaded.tables[name] = t
	return t, nil
}

// rune reads one character.
func (t *codeTable) rune(s []byte) (rune, int) {
	if s[0] == 0 {
		return 0, 1
	}
	code := uint32(0)
	for n, b := range s[:min(len(s), 4)] {
		code = code<<8 | uint32(b)
		if code < 1<<16 {
			if r := t.short[code]; r != 0 {
				return rune(r), n + 1
			}
		}
		if r, ok := t.long[code]; ok {
			return r, n + 1
		}
	}
	if t.gb && len(s) >= 4 {
		if r, n := gb18030Rune(s); n > 0 {
			return r, n
		}
	}
	return '?', t.length(s)
}

// length is the length of a character that the servers store but have no Unicode for. They show it as a question mark, to every
// client, so that is what it is here.
func (t *codeTable) length(s []byte) int {
	n := 1
	switch {
	case !t.wide || s[0] < 0x80:
	case t.euc && s[0] == 0x8f:
		n = 3
	case t.gb && len(s) > 1 && s[1] >= '0' && s[1] <= '9':
		n = 4
	default:
		n = 2
	}
	return min(n, len(s))
}

// gb18030Rune reads a character above the basic plane: its code counts up from 0x90308130.
func gb18030Rune(s []byte) (rune, int) {
	if s[0] < 0x90 || s[1] < 0x30 || s[1] > 0x39 || s[2] < 0x81 || s[2] > 0xfe || s[3] < 0x30 || s[3] > 0x39 {
		return 0, 0
	}
	r := 0x10000 + ((rune(s[0]-0x90)*10+rune(s[1]-0x30))*126+rune(s[2]-0x81))*10 + rune(s[3]-0x30)
	if r > 0x10ffff {
		return 0, 0
	}
	return r, 4
}

var errCodeTables = errors.New("the embedded tables are corrupt")

// decodeCodeTables reads the tables of code to character, by character set: name, count, and the distances from each pair to the
// next as variable-length integers, all compressed.
func decodeCodeTables(data []byte) (map[string]map[uint32]rune, error) {
	raw, err := io.ReadAll(flate.NewReader(bytes.NewReader(data)))
	if err != nil {
		return nil, err
	}
	number := func() uint64 {
		v, n := binary.Uvarint(raw)
		if n <= 0 {
			err = errCodeTables
			return 0
		}
		raw = raw[n:]
		return v
	}
	tables := map[string]map[uint32]rune{}
	for len(raw) > 0 && err == nil {
		n := number()
		if n > uint64(len(raw)) {
			return nil, errCodeTables
		}
		name := string(raw[:n])
		raw = raw[n:]
		table := map[uint32]rune{}
		code, r := uint32(0), int64(0)
		for range number() {
			if err != nil {
				break
			}
			code += uint32(number())
			step := number()
			r += int64(step>>1) ^ -int64(step&1)
			table[code] = rune(r)
		}
		tables[name] = table
	}
	return tables, err
}
