package binlog

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/millrace-go/millrace/cdc"
)

// walk is how a table is read in the order of a key: its selection, and how bounds of ranges are written. It is made once and used for
// many chunks, as long as the table's definition is what it was.
type walk struct {
	sel   *selection
	parts []walkPart
	// id tells keys apart: it stands in front of each bound.
	id string
	// definition is the server's statement that makes the table.
	definition string
	hint       string // FORCE INDEX, where that is known to be right
	shared     bool   // the record key is of no unique index
	limit      int    // rows of the next chunk, where they are so wide that it needs a limit; else 0
	bytes      int    // of the last chunk
}

// walkPart is a column of the key.
type walkPart struct {
	order      string // what is compared and ordered by: the column, where an index can be used for that
	value      string // what is selected for a bound
	descending bool
	literal    func(p *walkPart, dst []byte, value string) ([]byte, error) // a value as SQL that is equal to it
	charset    string
	text       bool // bytes or text: a bound has hexadecimal digits
	integer    bool
	moment     string // how a DATE, DATETIME or TIMESTAMP is written, without its fraction
}

var (
	errUnwalkable = &choiceError{"snapshots read a table by its primary key, or a unique index of columns that are NOT NULL, and it has neither", "ALTER TABLE … ADD " +
		"PRIMARY KEY (an invisible column will do), or exclude the table from snapshots"}
	errHiddenKey = &choiceError{"it belongs to the key by which snapshots read the table, whose values are shown in the log's positions, and Config.Columns hides it",
		"give the table another primary key (an invisible column will do), or exclude the table from snapshots"}
	errBound = errors.New("a bound of the range is none of this table")
)

// newWalk prepares to walk through a table. Its definition cannot have changed in between.
func (c *conn) newWalk(ctx context.Context, schema, name string, charsets *charsets) (*walk, error) {
	if err := c.checkTable(ctx, schema, name); err != nil {
		return nil, err
	}
	before, err := c.showCreate(ctx, schema, name)
	if err != nil {
		return nil, err
	}
	defined, err := c.definition(ctx, schema, name)
	if err != nil {
		return nil, err
	}
	w := &walk{definition: before}
	if err := w.setKey(defined, c.cfg.choice()); err != nil {
		return nil, c.refused(schema, name, err)
	}
	also := make([]string, len(w.parts))
	for i := range w.parts {
		also[i] = w.parts[i].value
	}
	if w.sel, err = c.newSelection(ctx, defined, charsets, also); err != nil {
		return nil, err
	}
	w.identify(defined, charsets)
	w.shared = !defined.tellsApart(w.sel.table.public)
	after, err := c.showCreate(ctx, schema, name)
	if err == nil && after != before {
		err = fmt.Errorf("table %s.%s at %s: %w", schema, name, c.cfg.Addr, cdc.ErrChunkStale)
	}
	return w, err
}

// showCreate is the table's definition as a statement: one question that sees every change of it.
func (c *conn) showCreate(ctx context.Context, schema, name string) (string, error) {
	row, err := c.row(ctx, "SHOW CREATE TABLE "+quote(schema)+"."+quote(name))
	if err != nil {
		return "", chunkError(err)
	}
	return withoutCounter(row["create table"]), nil
}

// withoutCounter takes the next AUTO_INCREMENT away, which is none of the definition.
func withoutCounter(statement string) string {
	const counter = " AUTO_INCREMENT="
	at := strings.LastIndex(statement, "\n)")
	if at < 0 {
		return statement
	}
	from := strings.Index(statement[at:], counter)
	if from < 0 {
		return statement
	}
	from += at
	end := from + len(counter)
	for end < len(statement) && statement[end] >= '0' && statement[end] <= '9' {
		end++
	}
	return statement[:from] + statement[end:]
}

// setKey chooses the index to walk along, and how its columns are compared.
func (w *walk) setKey(d *definition, choice choice) error {
	at := slices.IndexFunc(d.unique, func(x index) bool { return x.name == primaryKey || x.whole })
	if at < 0 {
		return errUnwalkable
	}
	key := d.unique[at]
	if key.name == primaryKey {
		w.hint = "FORCE INDEX (PRIMARY) "
	}
	for _, part := range key.parts {
		col := &d.columns[part.column]
		if !choice.columns.Match(d.schema, d.name, col.name) || choice.columns.Mask(d.schema, d.name, col.name) != nil {
			return &columnError{col.name, errHiddenKey}
		}
		p, err := newWalkPart(col, part)
		if err != nil {
			return &columnError{col.name, err}
		}
		w.parts = append(w.parts, p)
	}
	return nil
}

func newWalkPart(col *columnDefinition, part indexPart) (walkPart, error) {
	name := quote(col.name)
	if part.prefix > 0 {
		name = fmt.Sprintf("LEFT(%s, %d)", name, part.prefix)
	}
	p := walkPart{order: name, value: name, descending: part.descending}
	switch dataTypes[col.dataType] {
	case typeTiny, typeShort, typeInt24, typeLong, typeLongLong:
		p.literal, p.integer = numberLiteral, true
	case typeYear:
		p.literal = numberLiteral
		if col.fullType == "year(2)" { // compared by its two digits, but not in an index
			p.value, _ = col.expression()
			p.order = p.value
		}
	case typeDecimal:
		p.literal = numberLiteral
	case typeBit, typeEnum, typeSet: // ordered by their numbers
		p.value, p.literal = "CAST("+name+" AS UNSIGNED)", numberLiteral
		if col.dataType == "set" && strings.Count(col.fullType, "','") >= 63 { // compared as a signed number, but not in an index
			p.order = p.value
		}
	case typeFloat, typeDouble:
		p.value, p.literal = "CAST("+name+" AS DOUBLE)", doubleLiteral
	case typeDate, typeTime2, typeDatetime2, typeTimestamp2:
		p.literal = temporalLiteral
		switch col.dataType {
		case "date":
			p.moment = "2006-01-02"
		case "datetime", "timestamp":
			p.moment = "2006-01-02 15:04:05"
		}
	case typeString, typeVarchar, typeBlob:
		switch col.dataType {
		case "uuid", "inet6", "inet4":
			p.value, p.literal = "HEX("+name+")", addressLiteral
		default:
			p.literal, p.text = textLiteral, true
		}
	default:
		return p, fmt.Errorf("a column of type %s cannot be walked along", col.dataType)
	}
	return p, nil
}

// identify sets the walk's id, and the character sets of texts, which the selection knows.
func (w *walk) identify(d *definition, charsets *charsets) {
	h := sha256.New()
	key := d.unique[slices.IndexFunc(d.unique, func(x index) bool { return x.name == primaryKey || x.whole })]
	for i, part := range key.parts {
		col := &d.columns[part.column]
		p := &w.parts[i]
		kind, collation := col.dataType, w.sel.columns[part.column].field.charset
		if kind == "enum" || kind == "set" {
			kind = col.fullType
		}
		fmt.Fprintf(h, "%q %q %d %d %v\n", col.name, kind, collation, part.prefix, part.descending)
		if p.charset = charsets.names[uint64(collation)]; p.charset == "" {
			p.charset = "binary"
		}
	}
	w.id = hex.EncodeToString(h.Sum(nil)[:4])
}

// bound writes a bound from the values that a result has behind the columns.
func (w *walk) bound(values []byte) ([]byte, error) {
	dst := append([]byte(w.id), ':')
	c := cursor{rest: values}
	for i := range w.parts {
		if i > 0 {
			dst = append(dst, ',')
		}
		value := c.text()
		if c.bad {
			return dst, errShortRow
		}
		if w.parts[i].text {
			dst = hex.AppendEncode(append(dst, 'x'), value)
		} else {
			dst = append(dst, value...)
		}
	}
	return dst, nil
}

// literals reads a bound. It may have fewer values than the key has columns.
func (w *walk) literals(bound string) ([]string, error) {
	id, rest, ok := strings.Cut(bound, ":")
	if !ok || id != w.id {
		return nil, cdc.ErrChunkBounds
	}
	values := strings.Split(rest, ",")
	if len(values) > len(w.parts) {
		return nil, errBound
	}
	list := make([]string, len(values))
	for i, value := range values {
		text, err := w.parts[i].literal(&w.parts[i], nil, value)
		if err != nil {
			return nil, err
		}
		list[i] = string(text)
	}
	return list, nil
}

// condition writes what holds of the rows of a range; empty for all.
func (w *walk) condition(r cdc.ChunkRange) (string, error) {
	var conditions []string
	if r.After != "" {
		values, err := w.literals(r.After)
		if err != nil {
			return "", err
		}
		conditions = append(conditions, w.compare(values, true))
	}
	if r.Until != "" {
		values, err := w.literals(r.Until)
		if err != nil {
			return "", err
		}
		conditions = append(conditions, w.compare(values, false))
	}
	return strings.Join(conditions, " AND "), nil
}

// compare writes that a row stands behind a bound, or in front of it or at it. Servers do not use an index for rows compared as such.
func (w *walk) compare(values []string, behind bool) string {
	var out strings.Builder
	for i, value := range values {
		p := &w.parts[i]
		operator := map[bool]string{true: ">", false: "<"}[behind != p.descending]
		last := i == len(values)-1
		if last && !behind {
			operator += "="
		}
		if i > 0 {
			fmt.Fprintf(&out, " OR (%s = %s AND ", w.parts[i-1].order, values[i-1])
		}
		fmt.Fprintf(&out, "(%s %s %s", p.order, operator, value)
	}
	return out.String() + strings.Repeat("))", len(values)-1) + ")"
}

// rest is what follows the table's name in the statement that reads a chunk. Of rows that also have to meet a condition the server may
// find a better way to the first few.
func (w *walk) rest(condition string, limit int) string {
	if condition != "" {
		condition = "WHERE " + condition
	}
	return fmt.Sprintf("%s%s%s LIMIT %d", w.hint, condition, w.orderBy(), limit)
}

// orderBy writes the order of the key.
func (w *walk) orderBy() string {
	list := make([]string, len(w.parts))
	for i := range w.parts {
		if list[i] = w.parts[i].order; w.parts[i].descending {
			list[i] += " DESC"
		}
	}
	return " ORDER BY " + strings.Join(list, ", ")
}

func numberLiteral(_ *walkPart, dst []byte, value string) ([]byte, error) {
	whole, part, point := strings.Cut(strings.TrimPrefix(value, "-"), ".")
	if !isDigits([]byte(whole)) || point && !isDigits([]byte(part)) {
		return dst, errBound
	}
	return append(dst, value...), nil
}

// doubleLiteral writes a number that is not read as a DECIMAL, which would be rounded.
func doubleLiteral(_ *walkPart, dst []byte, value string) ([]byte, error) {
	f, err := strconv.ParseFloat(value, 64)
	if err != nil || math.IsInf(f, 0) || math.IsNaN(f) {
		return dst, errBound
	}
	return strconv.AppendFloat(dst, f, 'e', -1, 64), nil
}

func temporalLiteral(_ *walkPart, dst []byte, value string) ([]byte, error) {
	if value == "" || strings.Trim(value, "0123456789-:. ") != "" {
		return dst, errBound
	}
	return append(append(append(dst, '\''), value...), '\''), nil
}

// textLiteral writes text in the column's own character set, which is compared by the column's collation.
func textLiteral(p *walkPart, dst []byte, value string) ([]byte, error) {
	digits, ok := strings.CutPrefix(value, "x")
	if _, err := hex.DecodeString(digits); !ok || err != nil {
		return dst, errBound
	}
	return fmt.Appendf(dst, "_%s x'%s'", p.charset, digits), nil
}

// addressLiteral writes a UUID, INET6 or INET4 of MariaDB.
func addressLiteral(_ *walkPart, dst []byte, value string) ([]byte, error) {
	raw, err := hex.DecodeString(value)
	if err != nil {
		return dst, errBound
	}
	return fmt.Appendf(dst, "x'%x'", raw), nil
}
