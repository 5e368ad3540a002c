package binlog

import (
	"context"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/millrace-go/millrace/cdc"
)

// Split implements [cdc.ChunkReader]. It divides by the first column of the key, and by the server's own estimates of how many rows lie
// between two values, which take it two dives into the index each, whatever the table's size: a few hundred in all. Where no values can be made up that lie between two
// others, it counts rows along the index, which takes about a second for a million.
func (r *chunkReader) Split(ctx context.Context, schema, table string, n int) ([]cdc.ChunkRange, error) {
	if n < 1 {
		return nil, fmt.Errorf("split %s.%s: %d ranges, want a positive number", schema, table, n)
	}
	ctx, end, err := r.begin(ctx)
	if err != nil {
		return nil, err
	}
	defer end()
	ranges, err := r.split(ctx, schema, table, n)
	if err != nil {
		r.drop()
		return nil, fmt.Errorf("split %s.%s: %w", schema, table, chunkError(err))
	}
	return ranges, nil
}

func (r *chunkReader) split(ctx context.Context, schema, table string, n int) ([]cdc.ChunkRange, error) {
	w, err := r.walk(ctx, schema, table)
	if err != nil {
		return nil, err
	}
	if n == 1 {
		return []cdc.ChunkRange{{}}, nil
	}
	s := &splitter{conn: r.conn, walk: w}
	first, err := s.end(ctx, "")
	if err != nil || first == "" { // no row
		return []cdc.ChunkRange{{}}, err
	}
	last, err := s.end(ctx, " DESC")
	if err != nil || last == "" {
		return []cdc.ChunkRange{{}}, err
	}
	if w.parts[0].descending {
		first, last = last, first
	}
	var bounds []string
	if scale := w.parts[0].scale(first, last); scale != nil {
		bounds, err = s.dive(ctx, scale, n)
	} else {
		bounds, err = s.count(ctx, n)
	}
	if err == nil {
		bounds, err = s.ordered(ctx, bounds)
	}
	if err != nil {
		return nil, err
	}
	ranges := make([]cdc.ChunkRange, len(bounds)+1)
	for i, bound := range bounds {
		ranges[i].Until, ranges[i+1].After = bound, bound
	}
	return ranges, nil
}

// splitter divides one table.
type splitter struct {
	conn *conn
	walk *walk
}

// statement reads something of the table's rows.
func (s *splitter) statement(what, rest string) string {
	t := s.walk.sel.table
	return fmt.Sprintf("SELECT %s FROM %s.%s %s%s", what, quote(t.schema), quote(t.name), s.walk.hint, rest)
}

// end returns the first or the last value of the key's first column, as a bound without its id. Empty: there is none.
func (s *splitter) end(ctx context.Context, direction string) (string, error) {
	p := &s.walk.parts[0]
	result, err := s.conn.query(ctx, s.statement(p.value, "ORDER BY "+p.order+direction+" LIMIT 1"))
	if err != nil || result.RowNumber() == 0 {
		return "", err
	}
	one := walk{parts: s.walk.parts[:1]}
	bound, err := one.bound(result.RowDatas[0])
	return strings.TrimPrefix(string(bound), ":"), err
}

// rows is the server's estimate of the rows in a range. FORCE INDEX would keep MySQL from making one.
func (s *splitter) rows(ctx context.Context, r cdc.ChunkRange) (uint64, error) {
	condition, err := s.walk.condition(r)
	if err != nil {
		return 0, err
	}
	explain := "EXPLAIN "
	if s.conn.flavor == MySQL {
		explain = "EXPLAIN FORMAT=TRADITIONAL "
	}
	if condition != "" {
		condition = "WHERE " + condition
	}
	row, err := s.conn.row(ctx, explain+strings.Replace(s.statement(s.walk.parts[0].order, condition), "FORCE INDEX", "USE INDEX", 1))
	if err != nil {
		return 0, err
	}
	rows, _ := strconv.ParseUint(row["rows"], 10, 64) // none: the server knows that there are none
	return rows, nil
}

const (
	// piecesOfRange is how many pieces each range is put together of at least.
	piecesOfRange = 8
	maxPieces     = 500
)

// piece is a part of the table, between two values of its scale.
type piece struct {
	low, high uint64
	rows      uint64
}

// dive cuts the largest piece of the table into halves until all are small, since estimates are good for small ones only, and puts as
// many pieces together as make a range.
func (s *splitter) dive(ctx context.Context, scale *scale, n int) ([]string, error) {
	total, err := s.rows(ctx, cdc.ChunkRange{})
	if err != nil {
		return nil, err
	}
	small := max(total/uint64(n*piecesOfRange), 1)
	pieces := []piece{{scale.low, scale.high, total}}
	for len(pieces) < maxPieces {
		at := 0
		for i := range pieces {
			if p := pieces[i]; p.high-p.low > 1 && (p.rows > pieces[at].rows || pieces[at].high-pieces[at].low <= 1) {
				at = i
			}
		}
		p := pieces[at]
		if p.rows <= small || p.high-p.low <= 1 {
			break
		}
		middle := p.low + (p.high-p.low)/2
		halves := []piece{{low: p.low, high: middle}, {low: middle, high: p.high}}
		for i := range halves {
			if halves[i].rows, err = s.rows(ctx, s.between(scale, halves[i])); err != nil {
				return nil, err
			}
		}
		pieces = slices.Replace(pieces, at, at+1, halves...)
	}
	total = 0
	for _, p := range pieces {
		total += p.rows
	}
	var bounds []string
	below := uint64(0)
	for _, p := range pieces[:len(pieces)-1] {
		if below += p.rows; len(bounds) < n-1 && below >= total*uint64(len(bounds)+1)/uint64(n) {
			bounds = append(bounds, s.bound(scale, p.high))
		}
	}
	if s.walk.parts[0].descending {
		slices.Reverse(bounds)
	}
	return bounds, nil
}

func (s *splitter) bound(scale *scale, x uint64) string { return s.walk.id + ":" + scale.value(x) }

// between is a piece as a range; the first and the last have no end.
func (s *splitter) between(scale *scale, p piece) cdc.ChunkRange {
	var r cdc.ChunkRange
	if p.low > scale.low {
		r.After = s.bound(scale, p.low)
	}
	if p.high < scale.high {
		r.Until = s.bound(scale, p.high)
	}
	if s.walk.parts[0].descending {
		r.After, r.Until = r.Until, r.After
	}
	return r
}

// count passes over the rows between the bounds.
func (s *splitter) count(ctx context.Context, n int) ([]string, error) {
	total, err := s.rows(ctx, cdc.ChunkRange{})
	if err != nil {
		return nil, err
	}
	list := make([]string, len(s.walk.parts))
	for i := range s.walk.parts {
		list[i] = s.walk.parts[i].value
	}
	defer s.conn.patient()()
	var bounds []string
	last := ""
	for i := 1; i < n; i++ {
		condition, err := s.walk.condition(cdc.ChunkRange{After: last})
		if err != nil {
			return nil, err
		}
		if condition != "" {
			condition = "WHERE " + condition
		}
		result, err := s.conn.query(ctx, s.statement(strings.Join(list, ", "), fmt.Sprintf("%s%s LIMIT 1 OFFSET %d", condition, s.walk.orderBy(), total/uint64(n))))
		if err != nil {
			return nil, err
		}
		if result.RowNumber() == 0 {
			break
		}
		bound, err := s.walk.bound(result.RowDatas[0])
		if err != nil {
			return nil, err
		}
		last = string(bound)
		bounds = append(bounds, last)
	}
	return bounds, nil
}

// ordered leaves out bounds that the column's collation does not put in this order, or puts at one place.
func (s *splitter) ordered(ctx context.Context, bounds []string) ([]string, error) {
	var kept []string
	for _, bound := range bounds {
		if len(kept) > 0 {
			condition, err := s.walk.condition(cdc.ChunkRange{After: bound, Until: kept[len(kept)-1]})
			if err != nil {
				return nil, err
			}
			result, err := s.conn.query(ctx, s.statement("1", "WHERE "+condition+" LIMIT 1"))
			if err != nil {
				return nil, err
			}
			if result.RowNumber() > 0 || bound == kept[len(kept)-1] {
				continue
			}
		}
		kept = append(kept, bound)
	}
	return kept, nil
}

// scale numbers the values of a column, in their order.
type scale struct {
	low, high uint64
	value     func(uint64) string // as in a bound
}

// scale returns how the values between two are numbered, or nil.
func (p *walkPart) scale(first, last string) *scale {
	switch {
	case p.integer:
		return integerScale(first, last)
	case p.moment != "":
		return momentScale(p.moment, first, last)
	case p.text && p.order[0] == '`': // not of a prefix
		return textScale(first, last, p.charset)
	}
	return nil
}

const signBit = 1 << 63

func integerScale(first, last string) *scale {
	if u, err := strconv.ParseUint(first, 10, 64); err == nil { // with last not below it
		if v, err := strconv.ParseUint(last, 10, 64); err == nil && u <= v {
			return &scale{u, v, func(x uint64) string { return strconv.FormatUint(x, 10) }}
		}
		return nil
	}
	u, err1 := strconv.ParseInt(first, 10, 64)
	v, err2 := strconv.ParseInt(last, 10, 64)
	if err1 != nil || err2 != nil || u > v {
		return nil
	}
	return &scale{uint64(u) ^ signBit, uint64(v) ^ signBit, func(x uint64) string { return strconv.FormatInt(int64(x^signBit), 10) }}
}

func momentScale(layout, first, last string) *scale {
	u, err1 := time.Parse(layout, first)
	v, err2 := time.Parse(layout, last)
	if err1 != nil || err2 != nil || u.After(v) {
		return nil
	}
	return &scale{uint64(u.Unix()) ^ signBit, uint64(v.Unix()) ^ signBit, func(x uint64) string { return time.Unix(int64(x^signBit), 0).UTC().Format(layout) }}
}

// letters are what made up texts consist of: most collations have them in this order, and keys are most often digits and letters.
const letters = "0123456789abcdefghijklmnopqrstuvwxyz"

// textScale numbers what follows the beginning that both texts have: bytes, or texts of letters.
func textScale(first, last, charset string) *scale {
	u, err1 := hex.DecodeString(strings.TrimPrefix(first, "x"))
	v, err2 := hex.DecodeString(strings.TrimPrefix(last, "x"))
	if err1 != nil || err2 != nil {
		return nil
	}
	same := 0
	for same < len(u) && same < len(v) && u[same] == v[same] {
		same++
	}
	prefix := u[:same:same]
	if charset == "binary" {
		number := func(b []byte) uint64 {
			var eight [8]byte
			copy(eight[:], b[same:])
			return binary.BigEndian.Uint64(eight[:])
		}
		return &scale{number(u), number(v), func(x uint64) string { return "x" + hex.EncodeToString(binary.BigEndian.AppendUint64(prefix, x)) }}
	}
	switch charset {
	case "ucs2", "utf16", "utf16le", "utf32":
		return nil
	}
	for _, c := range prefix {
		if c >= 0x80 {
			return nil
		}
	}
	const places = 8
	size := uint64(1)
	for range places {
		size *= uint64(len(letters))
	}
	return &scale{0, size - 1, func(x uint64) string {
		var text [places]byte
		for i := places - 1; i >= 0; i-- {
			text[i] = letters[x%uint64(len(letters))]
			x /= uint64(len(letters))
		}
		return "x" + hex.EncodeToString(append(prefix, text[:]...))
	}}
}
