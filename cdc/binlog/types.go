package binlog

import (
	"fmt"

	"github.com/go-mysql-org/go-mysql/mysql"
)

// The column types of a table map.
const (
	typeTiny       = mysql.MYSQL_TYPE_TINY
	typeShort      = mysql.MYSQL_TYPE_SHORT
	typeLong       = mysql.MYSQL_TYPE_LONG
	typeFloat      = mysql.MYSQL_TYPE_FLOAT
	typeDouble     = mysql.MYSQL_TYPE_DOUBLE
	typeNull       = mysql.MYSQL_TYPE_NULL
	typeTimestamp  = mysql.MYSQL_TYPE_TIMESTAMP // before MySQL 5.6, like typeTime and typeDatetime
	typeLongLong   = mysql.MYSQL_TYPE_LONGLONG
	typeInt24      = mysql.MYSQL_TYPE_INT24
	typeDate       = mysql.MYSQL_TYPE_DATE
	typeTime       = mysql.MYSQL_TYPE_TIME
	typeDatetime   = mysql.MYSQL_TYPE_DATETIME
	typeYear       = mysql.MYSQL_TYPE_YEAR
	typeNewDate    = mysql.MYSQL_TYPE_NEWDATE
	typeVarchar    = mysql.MYSQL_TYPE_VARCHAR
	typeBit        = mysql.MYSQL_TYPE_BIT
	typeTimestamp2 = mysql.MYSQL_TYPE_TIMESTAMP2
	typeDatetime2  = mysql.MYSQL_TYPE_DATETIME2
	typeTime2      = mysql.MYSQL_TYPE_TIME2
	typeVector     = mysql.MYSQL_TYPE_VECTOR
	typeJSON       = mysql.MYSQL_TYPE_JSON
	typeDecimal    = mysql.MYSQL_TYPE_NEWDECIMAL
	typeEnum       = mysql.MYSQL_TYPE_ENUM
	typeSet        = mysql.MYSQL_TYPE_SET
	typeBlob       = mysql.MYSQL_TYPE_BLOB
	typeVarString  = mysql.MYSQL_TYPE_VAR_STRING
	typeString     = mysql.MYSQL_TYPE_STRING
	typeGeometry   = mysql.MYSQL_TYPE_GEOMETRY

	typeMariaDBCompressedBlob    = 140
	typeMariaDBCompressedVarchar = 141
)

// collationBinary is the collation of BINARY, VARBINARY and BLOB.
const collationBinary = 63

// typeName names the column's type as far as the event tells.
func (col *columnMap) typeName() string {
	var name string
	binary := col.collation == collationBinary
	switch col.kind {
	case typeTiny:
		name = "tinyint"
	case typeShort:
		name = "smallint"
	case typeInt24:
		name = "mediumint"
	case typeLong:
		name = "int"
	case typeLongLong:
		name = "bigint"
	case typeFloat:
		name = "float"
	case typeDouble:
		name = "double"
	case typeDecimal:
		name = fmt.Sprintf("decimal(%d,%d)", col.meta&0xff, col.meta>>8)
	case typeYear:
		return "year"
	case typeBit:
		return fmt.Sprintf("bit(%d)", col.bits())
	case typeDate, typeNewDate:
		return "date"
	case typeTime, typeTime2:
		return fractional("time", col)
	case typeDatetime, typeDatetime2:
		return fractional("datetime", col)
	case typeTimestamp, typeTimestamp2:
		return fractional("timestamp", col)
	case typeVarchar, typeVarString, typeMariaDBCompressedVarchar:
		name = "varchar"
		if binary {
			name = "varbinary"
		}
	case typeString:
		name = "char"
		if binary {
			name = fmt.Sprintf("binary(%d)", col.meta)
		}
	case typeBlob, typeMariaDBCompressedBlob:
		kind := "text"
		if binary {
			kind = "blob"
		}
		if n := int(col.meta); n >= 1 && n <= 4 {
			return [...]string{"tiny", "", "medium", "long"}[n-1] + kind
		}
		return kind
	case typeEnum:
		return "enum"
	case typeSet:
		return "set"
	case typeJSON:
		return "json"
	case typeGeometry:
		return "geometry"
	case typeVector:
		return "vector"
	default:
		return fmt.Sprintf("type %d", col.kind)
	}
	if col.unsigned {
		name += " unsigned"
	}
	return name
}

func fractional(name string, col *columnMap) string {
	if col.meta == 0 {
		return name
	}
	return fmt.Sprintf("%s(%d)", name, col.meta)
}

// bits is the width of a BIT column.
func (col *columnMap) bits() int { return int(col.meta>>8)*8 + int(col.meta&0xff) }
