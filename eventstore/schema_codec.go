package eventstore

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"
)

// AppendSchema appends c as the value of a record of [SchemaTopic] to dst; see docs/wire-format.md. The bytes are a function of c alone.
func AppendSchema(dst []byte, c *SchemaChange) []byte {
	if c == nil {
		return append(dst, "null"...)
	}
	dst = appendText(append(dst, `{"op":`...), string(c.Op))
	if d := c.Definition; d != nil {
		dst = appendText(append(dst, `,"definition":`...), d.ID())
		dst = d.appendMembers(append(dst, ','))
	} else {
		dst = appendTableName(append(dst, ','), c.Schema, c.Table)
	}
	if c.ToTable != "" {
		dst = appendTableName(append(dst, `,"to":{`...), c.ToSchema, c.ToTable)
		dst = append(dst, '}')
	}
	if c.IfNotExists {
		dst = append(dst, `,"if_not_exists":true`...)
	}
	if c.Statement != "" {
		dst = appendText(append(dst, `,"statement":`...), c.Statement)
	}
	dst = appendText(append(dst, `,"gtid":`...), c.GTID)
	dst = strconv.AppendUint(append(dst, `,"csn":`...), uint64(c.CSN), 10)
	dst = strconv.AppendUint(append(dst, `,"index":`...), c.Index, 10)
	dst = strconv.AppendInt(append(dst, `,"ts_ms":`...), c.Time.UnixMilli(), 10)
	dst = strconv.AppendInt(append(dst, `,"ts_us":`...), c.Time.UnixMicro(), 10)
	return append(dst, '}')
}

// AppendSchemaKey appends the key of a schema record to dst: the table's name.
func AppendSchemaKey(dst []byte, schema, table string) []byte {
	return append(appendTableName(append(dst, '{'), schema, table), '}')
}

func appendTableName(dst []byte, schema, table string) []byte {
	dst = appendText(append(dst, `"db":`...), schema)
	return appendText(append(dst, `,"table":`...), table)
}

// appendMembers appends what makes the definition, as members of an object.
func (d *TableDefinition) appendMembers(dst []byte) []byte {
	dst = append(appendTableName(dst, d.Schema, d.Table), `,"columns":[`...)
	for i, c := range d.Columns {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendText(append(dst, `{"name":`...), c.Name)
		dst = appendText(append(dst, `,"type":`...), c.Type)
		if c.Mask != "" {
			dst = appendText(append(dst, `,"mask":`...), c.Mask)
		}
		dst = append(dst, '}')
	}
	dst = append(dst, `],"key":[`...)
	for i, name := range d.Key {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendText(dst, name)
	}
	return append(dst, ']')
}

// schemaValue is the value of a schema record.
type schemaValue struct {
	Op          SchemaOp                   `json:"op"`
	Definition  string                     `json:"definition"`
	DB          string                     `json:"db"`
	Table       string                     `json:"table"`
	Columns     []ColumnDefinition         `json:"columns"`
	Key         []string                   `json:"key"`
	To          struct{ DB, Table string } `json:"to"`
	IfNotExists bool                       `json:"if_not_exists"`
	Statement   string                     `json:"statement"`
	GTID        string                     `json:"gtid"`
	Micros      int64                      `json:"ts_us"`
}

// ParseSchema reads rec, a record of [SchemaTopic], into c. Nothing of c points into rec.
func ParseSchema(rec *Record, c *SchemaChange) error {
	if rec == nil || c == nil {
		return errNilRecord
	}
	fail := func(err error) error {
		return fmt.Errorf("schema record csn %d index %d: %w", rec.CSN, rec.Index, err)
	}
	var v schemaValue
	if err := json.Unmarshal(rec.Value, &v); err != nil {
		return fail(errors.New("the value is not the JSON of a schema record"))
	}
	*c = SchemaChange{Op: v.Op, Schema: v.DB, Table: v.Table, ToSchema: v.To.DB, ToTable: v.To.Table, IfNotExists: v.IfNotExists, Statement: v.Statement,
		GTID: v.GTID, Time: time.UnixMicro(v.Micros), Place: rec.Place}
	switch v.Op {
	case SchemaDefine:
		c.Definition = &TableDefinition{Schema: v.DB, Table: v.Table, Columns: v.Columns, Key: v.Key}
		if c.Definition.ID() != v.Definition {
			return fail(errors.New("the definition is not the one that its id stands for"))
		}
	case SchemaCreate, SchemaAlter, SchemaRename, SchemaTruncate, SchemaDrop:
	default:
		return fail(errors.New("no known op"))
	}
	return nil
}

// ReadSchemas reads the schema topic of log from its beginning through transaction csn, and waits until the log has it, or ctx ends.
func ReadSchemas(ctx context.Context, log Log, csn CSN) (*Schemas, error) {
	schemas := &Schemas{}
	for cut, err := range log.Cuts(ctx, CutOptions{Topics: []string{SchemaTopic}}) {
		if err != nil {
			return nil, fmt.Errorf("read schemas: %w", err)
		}
		for rec, err := range cut.Records() {
			var c SchemaChange
			if err == nil {
				err = ParseSchema(rec, &c)
			}
			if err != nil {
				return nil, fmt.Errorf("read schemas: %w", err)
			}
			schemas.Observe(&c)
		}
		if cut.CSN >= csn {
			return schemas, nil
		}
	}
	return nil, fmt.Errorf("read schemas through csn %d: %w", csn, context.Cause(ctx))
}
