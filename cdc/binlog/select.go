package binlog

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/go-mysql-org/go-mysql/mysql"
	"github.com/millrace-go/millrace/cdc"
)

// selectTimeout bounds how long the server may think before it sends the first row, and between rows.
const selectTimeout = 10 * time.Minute

// patient gives the server selectTimeout for its answers, until restore is called.
func (c *conn) patient() (restore func()) {
	before := c.socket.timeout
	c.socket.timeout = selectTimeout
	return func() { c.socket.timeout = before }
}

// Select reads a table by SELECT and calls row with the key and the image of each row: the same bytes that the stream has for a row
// with these values, by the same choice of columns, masks and keys. rest is SQL that follows the table's name (WHERE, ORDER BY, LIMIT)
// and goes into the statement as it is; empty reads the whole table. The filter is not asked. The slices are valid until row returns;
// its error ends the reading. One call is one connection and one SELECT; the context cancels it.
//
// A column that the stream refuses is refused here with the same error, as a [*cdc.DecodeError] without a position.
func (s *Source) Select(ctx context.Context, schema, table, rest string, row func(key, image []byte) error) error {
	c, err := s.connect(ctx)
	if err != nil {
		return err
	}
	defer c.close()
	if err := c.prepareSelect(ctx); err != nil {
		return err
	}
	names, err := c.collations(ctx)
	if err != nil {
		return err
	}
	defined, err := c.definition(ctx, schema, table)
	if err != nil {
		return err
	}
	sel, err := c.newSelection(ctx, defined, newCharsets(names), nil)
	if err != nil {
		return err
	}
	result, err := c.selectRows(ctx, sel, rest)
	if err != nil {
		return err
	}
	defer result.close()
	var buf buffer
	for {
		buf.json = keep(buf.json)
		key, image, err := result.next(&buf)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err == nil {
			err = row(buf.bytes(key), buf.bytes(image))
		}
		if err != nil {
			c.socket.Close() // the rest of the result is still on its way
			return err
		}
	}
}

// connect connects to a server of the source that answers.
func (s *Source) connect(ctx context.Context) (*conn, error) {
	if s.topology != nil {
		return first(ctx, s.topology, func(one *Source) (*conn, error) { return one.connect(ctx) })
	}
	return connect(ctx, &s.cfg)
}

// prepareSelect sets the session up so that values come as the table has them: text in the column's own character set, instants in
// UTC, CHAR without padding, all rows, however long that takes.
func (c *conn) prepareSelect(ctx context.Context) error {
	limit := "max_execution_time"
	if c.flavor == MariaDB {
		limit = "max_statement_time"
	}
	_, err := c.query(ctx, "SET SESSION character_set_results = NULL, time_zone = '+00:00', sql_mode = '', sql_select_limit = 18446744073709551615, "+limit+" = 0")
	return err
}

// selection is how a table is read by SELECT: made once, used for many results. It must be made anew when the table's definition
// changes; a result whose columns are not those of the selection is an error.
type selection struct {
	table     *table
	columns   []selectedColumn // by place in the table
	also      int              // further columns of the result
	statement string           // SELECT … FROM …
}

// selectedColumn is what a result says of a column, and how its values are rendered.
type selectedColumn struct {
	column *column
	render textRenderer
	field  fieldType
}

// fieldType is what must not change from one result to the next.
type fieldType struct {
	kind     uint8
	charset  uint16
	flags    uint16
	decimals uint8
}

func fieldTypeOf(f *mysql.Field) fieldType {
	const flags = mysql.UNSIGNED_FLAG | mysql.BINARY_FLAG | mysql.ENUM_FLAG | mysql.SET_FLAG
	return fieldType{f.Type, f.Charset, f.Flag & flags, f.Decimal}
}

// newSelection prepares to read a table. also are expressions that a result has behind the columns. The session must have been through
// prepareSelect.
func (c *conn) newSelection(ctx context.Context, defined *definition, charsets *charsets, also []string) (*selection, error) {
	schema, name := defined.schema, defined.name
	choice := c.cfg.choice()
	list := make([]string, len(defined.columns), len(defined.columns)+len(also))
	var err error
	for i := range defined.columns {
		if !choice.columns.Match(schema, name, defined.columns[i].name) {
			defined.columns[i].excluded, list[i] = true, "NULL" // its values stay where they are
			continue
		}
		if list[i], err = defined.columns[i].expression(); err != nil {
			return nil, c.refused(schema, name, &columnError{defined.columns[i].name, err})
		}
	}
	s := &selection{columns: make([]selectedColumn, len(list)), also: len(also)}
	list = append(list, also...)
	s.statement = fmt.Sprintf("SELECT %s FROM %s.%s", strings.Join(list, ", "), quote(schema), quote(name))
	result, err := c.query(ctx, s.statement+" LIMIT 0")
	if err != nil {
		return nil, err
	}
	if len(result.Fields) != len(list) {
		return nil, fmt.Errorf("select from %s.%s at %s: %d columns, want %d", schema, name, c.cfg.Addr, len(result.Fields), len(list))
	}
	m := &tableMap{schema: schema, name: name, named: true, key: defined.key, columns: make([]columnMap, len(s.columns))}
	for i, f := range result.Fields[:len(s.columns)] {
		m.columns[i] = defined.columns[i].columnMap(f)
		s.columns[i].field = fieldTypeOf(f)
	}
	if s.table, err = newTable(m, charsets, choice); err != nil {
		return nil, c.refused(schema, name, err)
	}
	for i := range s.columns {
		col := &s.columns[i]
		if col.column = &s.table.columns[i]; col.column.excluded {
			continue
		}
		if err := col.setRender(&m.columns[i], &defined.columns[i], charsets); err != nil {
			return nil, c.refused(schema, name, &columnError{col.column.name, err})
		}
	}
	return s, nil
}

// refused says of a table why it cannot be read.
func (c *conn) refused(schema, name string, err error) error {
	e := &cdc.DecodeError{Table: schema + "." + name, Err: err}
	if of, ok := errors.AsType[*columnError](err); ok {
		e.Column, e.Err = of.column, of.err
	}
	return fmt.Errorf("select at %s: %w", c.cfg.Addr, e)
}

// result is the answer to one SELECT. Until it has come to its end the connection is good for nothing else.
type result struct {
	conn    *conn
	sel     *selection
	packet  bytes.Buffer
	key     []span
	also    []byte      // of the row at hand, what the selection has behind the columns; in packet
	stop    func() bool // ends the watch over the context
	ctx     context.Context
	restore func() // ends the connection's patience
}

// selectRows begins to read rows: rest is what follows the table's name in the statement. A cancelled context breaks the connection.
func (c *conn) selectRows(ctx context.Context, s *selection, rest string) (*result, error) {
	r := &result{conn: c, sel: s, ctx: ctx, restore: c.patient()}
	r.stop = context.AfterFunc(ctx, func() { c.socket.Close() })
	if err := r.begin(rest); err != nil {
		r.close()
		return nil, r.failed(err)
	}
	return r, nil
}

// close gives the connection back.
func (r *result) close() {
	r.stop()
	r.restore()
}

func (r *result) failed(err error) error {
	if r.ctx.Err() != nil {
		err = context.Cause(r.ctx)
	}
	return serverError(fmt.Sprintf("select from %s at %s", r.sel.table.public, r.conn.cfg.Addr), err)
}

var errResultChanged = errors.New("the table's columns are not those it had before: read its definition again")

// begin sends the statement and reads the head of the answer.
func (r *result) begin(rest string) error {
	data := append(make([]byte, 4), mysql.COM_QUERY)
	data = append(data, r.sel.statement...)
	if err := r.conn.command(append(append(data, ' '), rest...)); err != nil {
		return err
	}
	if err := r.read(); err != nil {
		return err
	}
	c := cursor{rest: r.packet.Bytes()}
	if n := c.lenenc(); c.bad || len(c.rest) > 0 || n != uint64(len(r.sel.columns)+r.sel.also) {
		return errResultChanged
	}
	for i := range r.sel.columns {
		if err := r.read(); err != nil {
			return err
		}
		var f mysql.Field
		if err := f.Parse(r.packet.Bytes()); err != nil {
			return err
		}
		if fieldTypeOf(&f) != r.sel.columns[i].field {
			return &columnError{r.sel.columns[i].column.name, errResultChanged}
		}
	}
	for range r.sel.also + 1 {
		if err := r.read(); err != nil {
			return err
		}
	}
	if !isEOF(r.packet.Bytes()) {
		return errShortRow
	}
	return nil
}

// read reads a packet; one that is an error is returned as such.
func (r *result) read() error {
	if r.packet.Cap() > 16<<20 { // see keep
		r.packet = bytes.Buffer{}
	}
	r.packet.Reset()
	if err := r.conn.ReadPacketTo(&r.packet); err != nil {
		return err
	}
	data := r.packet.Bytes()
	if len(data) == 0 {
		return errShortRow
	}
	if data[0] == mysql.ERR_HEADER {
		return r.conn.HandleErrorPacket(bytes.Clone(data))
	}
	return nil
}

// isEOF tells the end of the columns, or of the rows, from a row that begins with a value of more than 16 MiB.
func isEOF(packet []byte) bool { return packet[0] == mysql.EOF_HEADER && len(packet) < 9 }

// next appends the next row's image and key to buf, and returns [io.EOF] behind the last row.
func (r *result) next(buf *buffer) (key, image span, err error) {
	if err := r.read(); err != nil {
		return key, image, r.failed(err)
	}
	if isEOF(r.packet.Bytes()) {
		return key, image, io.EOF
	}
	if image, r.also, err = r.sel.image(buf, r.packet.Bytes(), &r.key); err != nil {
		return key, image, r.conn.refused(r.sel.table.schema, r.sel.table.name, err)
	}
	return buf.appendKey(r.sel.table, r.key), image, nil
}

var errShortRow = errors.New("the server's answer is not a row of this table: corrupt on the way?")

const nullValue = 0xfb

// image renders one row as the stream renders an image of it, and notes where the key's values are. also is what the packet has behind it.
func (s *selection) image(buf *buffer, packet []byte, key *[]span) (image span, also []byte, err error) {
	if n := len(s.table.key); cap(*key) < n {
		*key = make([]span, n)
	} else {
		*key = (*key)[:n]
	}
	dst, src := buf.json, cursor{rest: packet}
	start := len(dst)
	for i := range s.columns {
		sel := &s.columns[i]
		c := sel.column
		if c.excluded {
			src.take(1)
			continue
		}
		dst = append(dst, c.prefix...)
		from := len(dst)
		if len(src.rest) > 0 && src.rest[0] == nullValue {
			src.take(1)
			dst = append(dst, "null"...)
		} else {
			value := src.text()
			if src.bad {
				return span{}, nil, errShortRow
			}
			if dst, err = sel.render(c, dst, value); err != nil {
				return span{}, nil, &columnError{c.name, err}
			}
			if c.mask != nil {
				dst = c.mask.Replace(dst, from)
			}
		}
		if c.key >= 0 {
			(*key)[c.key] = span{from, len(dst)}
		}
	}
	if s.also == 0 && len(src.rest) > 0 {
		return span{}, nil, errShortRow
	}
	buf.json = append(dst, '}')
	return span{start, len(buf.json)}, src.rest, nil
}
