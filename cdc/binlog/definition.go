package binlog

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/go-mysql-org/go-mysql/mysql"
	"github.com/millrace-go/millrace/cdc"
)

// definition is a table as information_schema has it now.
type definition struct {
	schema, name string
	columns      []columnDefinition
	key          []int   // as in tableMap
	unique       []index // the primary key first, then other unique indexes by name
}

// index is one that tells rows apart.
type index struct {
	name  string
	parts []indexPart
	// whole says that its columns are never null, and in it as they are.
	whole bool
}

type indexPart struct {
	column     int
	descending bool
	prefix     int // characters, or bytes of what is no text; 0: all of the value
}

// columnDefinition is a column of it.
type columnDefinition struct {
	name     string
	dataType string // DATA_TYPE: varchar
	fullType string // COLUMN_TYPE: varchar(20)
	octets   uint16 // the most that a CHAR, VARCHAR, BINARY or VARBINARY has
	number   uint16 // digits of a DECIMAL, bits of a BIT
	scale    uint16
	fraction uint16 // digits of a temporal type
	excluded bool   // is not read
}

var errVersioned = errors.New("system-versioned tables cannot be read by SELECT yet: their history would be missing. Fix: exclude the table")

// checkTable refuses what is no table, or cannot be read like one.
func (c *conn) checkTable(ctx context.Context, schema, name string) error {
	table, err := c.row(ctx, "SELECT TABLE_TYPE AS kind FROM information_schema.TABLES WHERE "+ofTable(schema, name))
	if err != nil {
		return err
	}
	switch kind := table["kind"]; kind {
	case "BASE TABLE":
		return nil
	case "":
		err = fmt.Errorf("%w, or the account may not read it. Fix: GRANT SELECT on it", cdc.ErrNoTable)
	case "SYSTEM VERSIONED":
		err = errVersioned
	default:
		err = fmt.Errorf("it is a %s, not a table", strings.ToLower(kind))
	}
	return c.refused(schema, name, err)
}

// ofTable is the condition on the rows of information_schema that are about a table.
func ofTable(schema, name string) string {
	return fmt.Sprintf("TABLE_SCHEMA = %s AND TABLE_NAME = %s", literal(schema), literal(name))
}

// definition asks for a table's columns, also the invisible and generated ones, and its primary key. SELECT is the only grant it takes.
func (c *conn) definition(ctx context.Context, schema, name string) (*definition, error) {
	if err := c.checkTable(ctx, schema, name); err != nil {
		return nil, err
	}
	of := ofTable(schema, name)
	d := &definition{schema: schema, name: name}
	rows, err := c.rows(ctx, "SELECT COLUMN_NAME AS name, DATA_TYPE AS type, COLUMN_TYPE AS full, CHARACTER_OCTET_LENGTH AS octets, "+
		"NUMERIC_PRECISION AS number, NUMERIC_SCALE AS scale, DATETIME_PRECISION AS fraction "+
		"FROM information_schema.COLUMNS WHERE "+of+" ORDER BY ORDINAL_POSITION")
	if err != nil {
		return nil, err
	}
	for _, row := range rows {
		d.columns = append(d.columns, columnDefinition{name: row["name"], dataType: strings.ToLower(row["type"]), fullType: row["full"],
			octets: small(row["octets"]), number: small(row["number"]), scale: small(row["scale"]), fraction: small(row["fraction"])})
	}
	rows, err = c.rows(ctx, "SELECT INDEX_NAME AS name, COLUMN_NAME AS part, SUB_PART AS prefix, NULLABLE AS nullable, COLLATION AS direction FROM "+
		"information_schema.STATISTICS WHERE "+of+" AND NON_UNIQUE = 0 ORDER BY INDEX_NAME <> 'PRIMARY', INDEX_NAME, SEQ_IN_INDEX")
	if err != nil {
		return nil, err
	}
	for _, row := range rows {
		if n := len(d.unique); n == 0 || d.unique[n-1].name != row["name"] {
			d.unique = append(d.unique, index{name: row["name"], whole: true})
		}
		i := slices.IndexFunc(d.columns, func(col columnDefinition) bool { return col.name == row["part"] })
		if i < 0 && row["part"] != "" { // MySQL's indexes on an expression have none
			return nil, c.refused(schema, name, errResultChanged)
		}
		x := &d.unique[len(d.unique)-1]
		prefix, _ := strconv.Atoi(row["prefix"])
		x.whole = x.whole && i >= 0 && prefix == 0 && row["nullable"] != "YES"
		x.parts = append(x.parts, indexPart{column: i, descending: row["direction"] == "D", prefix: prefix})
		if x.name == primaryKey {
			d.key = append(d.key, i)
		}
	}
	return d, nil
}

const primaryKey = "PRIMARY"

// tellsApart tells whether no two rows have one record key: whether it has all columns of a unique index without nulls.
func (d *definition) tellsApart(t *cdc.Table) bool {
	return slices.ContainsFunc(d.unique, func(x index) bool {
		if x.name != primaryKey && !x.whole {
			return false
		}
		return !slices.ContainsFunc(x.parts, func(p indexPart) bool {
			return !slices.ContainsFunc(t.Key, func(i int) bool { return t.Columns[i].Name == d.columns[p.column].name })
		})
	})
}

// literal writes a string for a session whose sql_mode is empty.
func literal(s string) string {
	return "'" + strings.NewReplacer("'", "''", `\`, `\\`).Replace(s) + "'"
}

// small reads a number that fits into a table map; of others, like the length of a LONGTEXT, nothing is needed.
func small(s string) uint16 {
	n, _ := strconv.ParseUint(s, 10, 16)
	return uint16(n)
}

// oldTemporal is what MariaDB writes into the type of a column in the format from before MySQL 5.6.
const oldTemporal = "mariadb-5.3"

// dataTypes are the types of a table map by DATA_TYPE.
var dataTypes = map[string]byte{
	"tinyint": typeTiny, "smallint": typeShort, "mediumint": typeInt24, "int": typeLong, "bigint": typeLongLong,
	"decimal": typeDecimal, "float": typeFloat, "double": typeDouble, "bit": typeBit, "year": typeYear,
	"date": typeDate, "time": typeTime2, "datetime": typeDatetime2, "timestamp": typeTimestamp2,
	"char": typeString, "varchar": typeVarchar, "binary": typeString, "varbinary": typeVarchar,
	"tinytext": typeBlob, "text": typeBlob, "mediumtext": typeBlob, "longtext": typeBlob,
	"tinyblob": typeBlob, "blob": typeBlob, "mediumblob": typeBlob, "longblob": typeBlob,
	"enum": typeEnum, "set": typeSet, "json": typeJSON, "vector": typeVector,
	"geometry": typeGeometry, "point": typeGeometry, "linestring": typeGeometry, "polygon": typeGeometry, "multipoint": typeGeometry,
	"multilinestring": typeGeometry, "multipolygon": typeGeometry, "geomcollection": typeGeometry, "geometrycollection": typeGeometry,
	"uuid": typeString, "inet6": typeString, "inet4": typeString, // as BINARY, like their events
}

// blobWidths are the bytes of the length in front of a value.
var blobWidths = map[string]uint16{"tinytext": 1, "tinyblob": 1, "text": 2, "blob": 2, "mediumtext": 3, "mediumblob": 3, "longtext": 4, "longblob": 4}

// addressBytes are the lengths of MariaDB's types that are BINARY in the binlog.
var addressBytes = map[string]uint16{"uuid": 16, "inet6": 16, "inet4": 4}

// expression is what to select so that nothing of the value is lost.
func (d *columnDefinition) expression() (string, error) {
	if _, ok := dataTypes[d.dataType]; !ok {
		return "", fmt.Errorf("columns of type %s are not supported", d.dataType)
	}
	name := quote(d.name)
	switch {
	case d.dataType == "float", d.dataType == "double": // the server prints six digits of a FLOAT, and n decimals of a DOUBLE(m,n)
		return "CAST(" + name + " AS DOUBLE)", nil
	case addressBytes[d.dataType] > 0:
		return "HEX(" + name + ")", nil
	case d.fullType == "year(2)": // MariaDB shows it without its century, and takes the year 0000 for 1900, which the type does not have
		return "IF(YEAR(" + name + ") = 1900, 0, YEAR(" + name + "))", nil
	}
	return name, nil
}

// columnMap is the column as a table map would have it.
func (d *columnDefinition) columnMap(f *mysql.Field) columnMap {
	m := columnMap{name: d.name, kind: dataTypes[d.dataType], unsigned: strings.Contains(d.fullType, "unsigned"), collation: uint64(f.Charset)}
	if d.excluded {
		m.kind = typeNull
		return m
	}
	switch m.kind {
	case typeDecimal:
		m.meta = d.number | d.scale<<8
	case typeBit:
		m.meta = d.number/8<<8 | d.number%8
	case typeTime2, typeDatetime2, typeTimestamp2:
		m.meta = d.fraction
		if strings.Contains(d.fullType, oldTemporal) {
			m.kind = map[byte]byte{typeTime2: typeTime, typeDatetime2: typeDatetime, typeTimestamp2: typeTimestamp}[m.kind]
		}
	case typeString, typeVarchar:
		m.meta = d.octets
		if n := addressBytes[d.dataType]; n > 0 {
			m.meta, m.collation = n, collationBinary
		}
	case typeBlob:
		m.meta = blobWidths[d.dataType]
	case typeFloat, typeGeometry, typeJSON, typeVector:
		m.meta = 4
	case typeDouble:
		m.meta = 8
	case typeEnum, typeSet:
		m.meta, m.labels = 1, [][]byte{nil} // a result has them as text
	}
	if strings.Contains(d.fullType, "COMPRESSED*/") {
		m.kind = map[byte]byte{typeVarchar: typeMariaDBCompressedVarchar, typeBlob: typeMariaDBCompressedBlob}[m.kind]
	}
	return m
}
