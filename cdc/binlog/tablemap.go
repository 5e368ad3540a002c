package binlog

import (
	"errors"
	"fmt"
)

// The field types of a table map's optional metadata.
const (
	metaSignedness       = 1
	metaDefaultCharset   = 2
	metaColumnCharset    = 3
	metaColumnName       = 4
	metaSetLabels        = 5
	metaEnumLabels       = 6
	metaPrimaryKey       = 8
	metaPrimaryKeyPrefix = 9
	metaEnumSetDefault   = 10
	metaEnumSetCharset   = 11
)

// tableMap is a decoded TABLE_MAP_EVENT: a table as it was when the following rows were written. Its slices are part of the event.
type tableMap struct {
	schema, name string
	columns      []columnMap
	key          []int // indexes of the primary key's columns; nil without one
	named        bool  // has column names: binlog_row_metadata was FULL
}

// columnMap is what a table map says of a column.
type columnMap struct {
	name      string
	kind      byte   // the type, ENUM and SET taken out of STRING
	meta      uint16 // by type: length, fraction digits, precision and scale, …
	unsigned  bool
	collation uint64 // 0 when the event does not say
	labels    [][]byte
}

// parseTableName reads the head of a table map.
func parseTableName(c *cursor) (id uint64, schema, name []byte) {
	id = c.uint(tableIDSize)
	c.take(2) // flags
	schema = c.text()
	c.take(1)
	name = c.text()
	c.take(1)
	return id, schema, name
}

func parseTableMap(body []byte, mariadb bool) (*tableMap, error) {
	c := cursor{rest: body}
	_, schema, name := parseTableName(&c)
	t := &tableMap{schema: string(schema), name: string(name)}
	types := c.take(c.lenenc())
	meta := cursor{rest: c.text()}
	c.take(uint64(len(types)+7) / 8) // which columns may be null: a row's own bitmap says which are
	if c.bad {
		return t, fmt.Errorf("table map: %w", errShort)
	}
	t.columns = make([]columnMap, len(types))
	for i, kind := range types {
		col := &t.columns[i]
		col.kind = kind
		if err := col.parseMeta(&meta); err != nil {
			return t, fmt.Errorf("table map: column %d: %w", i+1, err)
		}
	}
	if len(meta.rest) > 0 {
		return t, errors.New("table map: more column metadata than columns")
	}
	for len(c.rest) > 0 && !c.bad {
		field := c.uint(1)
		value := cursor{rest: c.text()}
		if c.bad {
			break
		}
		t.parseField(byte(field), &value, mariadb)
		if value.bad {
			return t, fmt.Errorf("table map: metadata field %d: %w", field, errShort)
		}
	}
	return t, c.err()
}

// parseMeta reads the column's part of the metadata block.
func (col *columnMap) parseMeta(c *cursor) error {
	switch col.kind {
	case typeFloat, typeDouble, typeBlob, typeGeometry, typeJSON, typeVector, typeTime2, typeDatetime2, typeTimestamp2,
		typeMariaDBCompressedBlob:
		col.meta = uint16(c.uint(1))
	case typeVarchar, typeVarString, typeBit, typeMariaDBCompressedVarchar:
		col.meta = uint16(c.uint(2))
	case typeDecimal:
		col.meta = uint16(c.uint(1)) // precision in the low byte
		col.meta |= uint16(c.uint(1)) << 8
	case typeString:
		kind, length := byte(c.uint(1)), uint16(c.uint(1))
		if kind&0x30 != 0x30 { // CHAR longer than 255 bytes: two bits of the length hide in the type
			length |= uint16(kind&0x30^0x30) << 4
			kind |= 0x30
		}
		col.kind, col.meta = kind, length
		if kind != typeString && kind != typeEnum && kind != typeSet {
			return fmt.Errorf("unknown string type %d", kind)
		}
	case typeTiny, typeShort, typeInt24, typeLong, typeLongLong, typeNull, typeDate, typeNewDate, typeYear,
		typeTimestamp, typeDatetime, typeTime:
	default:
		return fmt.Errorf("unknown type %d", col.kind)
	}
	return c.err()
}

// parseField reads one field of the optional metadata. Each lists the columns it is about in order, without naming them.
func (t *tableMap) parseField(field byte, c *cursor, mariadb bool) {
	switch field {
	case metaSignedness:
		n := 0
		for i := range t.columns {
			if t.columns[i].isNumeric() {
				if at := n / 8; at < len(c.rest) {
					t.columns[i].unsigned = c.rest[at]&(0x80>>(n%8)) != 0
				} else {
					c.bad = true
				}
				n++
			}
		}
	case metaDefaultCharset:
		t.defaultCollation(c, func(col *columnMap) bool { return col.isText(mariadb) })
	case metaColumnCharset:
		t.eachCollation(c, func(col *columnMap) bool { return col.isText(mariadb) })
	case metaEnumSetDefault:
		t.defaultCollation(c, (*columnMap).isEnumOrSet)
	case metaEnumSetCharset:
		t.eachCollation(c, (*columnMap).isEnumOrSet)
	case metaColumnName:
		for i := range t.columns {
			t.columns[i].name = string(c.text())
		}
		t.named = !c.bad
	case metaSetLabels:
		t.labels(c, typeSet)
	case metaEnumLabels:
		t.labels(c, typeEnum)
	case metaPrimaryKey:
		for len(c.rest) > 0 && !c.bad {
			t.keyColumn(c)
		}
	case metaPrimaryKeyPrefix:
		for len(c.rest) > 0 && !c.bad {
			t.keyColumn(c)
			c.lenenc() // prefix length: the key on the wire has the whole value, which is unique when its prefix is
		}
	}
}

func (t *tableMap) keyColumn(c *cursor) {
	if i := c.lenenc(); i < uint64(len(t.columns)) {
		t.key = append(t.key, int(i))
	} else {
		c.bad = true
	}
}

// defaultCollation reads the collation most columns have, then pairs of column number (among those that has chooses) and collation.
func (t *tableMap) defaultCollation(c *cursor, has func(*columnMap) bool) {
	most := c.lenenc()
	var chosen []*columnMap
	for i := range t.columns {
		if col := &t.columns[i]; has(col) {
			col.collation = most
			chosen = append(chosen, col)
		}
	}
	for len(c.rest) > 0 && !c.bad {
		at, collation := c.lenenc(), c.lenenc()
		if at >= uint64(len(chosen)) {
			c.bad = true
			return
		}
		chosen[at].collation = collation
	}
}

func (t *tableMap) eachCollation(c *cursor, has func(*columnMap) bool) {
	for i := range t.columns {
		if col := &t.columns[i]; has(col) {
			col.collation = c.lenenc()
		}
	}
}

func (t *tableMap) labels(c *cursor, kind byte) {
	for i := range t.columns {
		if t.columns[i].kind != kind {
			continue
		}
		n := c.lenenc()
		if c.bad || n > uint64(len(c.rest)) { // each takes a byte at least
			c.bad = true
			return
		}
		labels := make([][]byte, n)
		for j := range labels {
			labels[j] = c.text()
		}
		t.columns[i].labels = labels
	}
}

// isSequence tells of a MariaDB SEQUENCE: NEXTVAL writes its state as a row, but it is no table.
func (t *tableMap) isSequence() bool {
	names := [...]string{"next_not_cached_value", "minimum_value", "maximum_value", "start_value", "increment", "cache_size", "cycle_option", "cycle_count"}
	if len(t.columns) != len(names) || len(t.key) > 0 {
		return false
	}
	for i := range names {
		if t.columns[i].name != names[i] {
			return false
		}
	}
	return true
}

// isNumeric tells whether the signedness bitmap has a bit for the column.
func (col *columnMap) isNumeric() bool {
	switch col.kind {
	case typeTiny, typeShort, typeInt24, typeLong, typeLongLong, typeDecimal, typeFloat, typeDouble, typeYear:
		return true
	}
	return false
}

// isText tells whether the character set fields have an entry for the column. MySQL counts vectors among text, MariaDB geometry.
func (col *columnMap) isText(mariadb bool) bool {
	switch col.kind {
	case typeString, typeVarString, typeVarchar, typeBlob:
		return true
	case typeMariaDBCompressedBlob, typeMariaDBCompressedVarchar, typeGeometry:
		return mariadb
	case typeVector:
		return !mariadb
	}
	return false
}

func (col *columnMap) isEnumOrSet() bool { return col.kind == typeEnum || col.kind == typeSet }
