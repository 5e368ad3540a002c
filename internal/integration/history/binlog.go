package history

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// Transaction is one committed transaction of the binlog.
type Transaction struct {
	GTID string
	Kind Kind
	// XID is the id of what a Prepare, an XACommit or an XARollback is about, as the server writes it: X'6731',X'62',7.
	XID string
	// Rows are those that its commit made visible, in the order of the binlog: an XACommit has those of its prepare, the Prepare has none. Rows
	// that a ROLLBACK TO took back are left out.
	Rows []Row
	// TookBack tells that rows were left out: a row's place among the others is not its place in the binlog.
	TookBack bool
	// Statements are the schema changes in it.
	Statements []string
}

// Kind is what a transaction of the binlog is.
type Kind int

// The kinds. XA COMMIT … ONE PHASE is an ordinary transaction.
const (
	Ordinary Kind = iota
	Prepare
	XACommit
	XARollback
)

// Row is one changed row.
type Row struct {
	Schema, Table string
	Op            byte    // 'c', 'u' or 'd'
	Before, After []Value // by the table's column order; nil where there is no image
}

// Value is a column's value as text, or NULL.
type Value struct {
	Text string
	Null bool
	// Unsigned is what a negative number's bits say when they are read without a sign: the binlog does not tell which of the two it is.
	Unsigned string
}

// ParseBinlog reads what mysqlbinlog (flavor "mysql") or mariadb-binlog ("mariadb") print with -vv --base64-output=DECODE-ROWS. It
// understands ordinary and XA transactions, savepoints and DDL; a transaction that ends in ROLLBACK is left out, and so is one that a crash of
// the server cut off.
func ParseBinlog(r io.Reader, flavor string) ([]Transaction, error) {
	p := &binlogParser{flavor: flavor, prepared: map[string]*Transaction{}}
	lines := bufio.NewScanner(r)
	lines.Buffer(make([]byte, 1<<20), 64<<20)
	for n := 1; lines.Scan(); n++ {
		if err := p.line(lines.Text()); err != nil {
			return nil, fmt.Errorf("binlog text line %d: %w", n, err)
		}
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("binlog text: %w", err)
	}
	if err := p.statementEnds(); err != nil {
		return nil, fmt.Errorf("binlog text: %w", err)
	}
	return p.done, nil
}

type binlogParser struct {
	flavor  string
	done    []Transaction
	current *Transaction // between its GTID and its end
	begun   bool         // BEGIN or XA START was seen
	image   *[]Value     // where the next column belongs
	// savepoints of the current transaction, each with the number of rows before it.
	savepoints []savepoint
	prepared   map[string]*Transaction // the rows of XA transactions, by XID
}

type savepoint struct {
	name string
	rows int
}

func (p *binlogParser) line(line string) error {
	switch {
	case strings.HasPrefix(line, "### "):
		return p.row(line[len("### "):])
	case strings.HasPrefix(line, "SET @@SESSION.GTID_NEXT= '"):
		id, _, _ := strings.Cut(line[len("SET @@SESSION.GTID_NEXT= '"):], "'")
		if id == "AUTOMATIC" { // added by mysqlbinlog at the end
			return p.statementEnds()
		}
		return p.begin(id)
	case p.flavor == "mariadb" && !strings.HasPrefix(line, "#Q>") && strings.HasPrefix(line, "#") && strings.Contains(line, "\tGTID "):
		_, rest, _ := strings.Cut(line, "\tGTID ")
		id, _, _ := strings.Cut(rest, " ")
		return p.begin(id)
	case strings.HasPrefix(line, "#") && strings.Contains(line, "\tStart: binlog v"):
		if p.current != nil && p.begun { // cut off at the end of the file before
			return p.end(false)
		}
	case p.current == nil || strings.HasPrefix(line, "#"):
	default:
		return p.statement(strings.TrimSuffix(line, "/*!*/;"))
	}
	return nil
}

// statement reads the first line of a statement that stands in the binlog as its text.
func (p *binlogParser) statement(text string) error {
	verb, rest, _ := strings.Cut(text, " ")
	switch verb {
	case "BEGIN", "START":
		p.begun = true
	case "COMMIT":
		return p.end(true)
	case "ROLLBACK":
		if name, ok := strings.CutPrefix(rest, "TO "); ok {
			return p.rollbackTo(name)
		}
		if p.begun {
			return p.end(false)
		}
	case "SAVEPOINT":
		p.savepoints = append(p.savepoints, savepoint{rest, len(p.current.Rows)})
	case "XA":
		return p.xa(rest)
	case "CREATE", "ALTER", "DROP", "RENAME", "TRUNCATE":
		p.current.Statements = append(p.current.Statements, text)
	}
	return nil
}

// rollbackTo takes back the rows behind a savepoint: the last one of that name.
func (p *binlogParser) rollbackTo(name string) error {
	for n := len(p.savepoints) - 1; n >= 0; n-- {
		if s := p.savepoints[n]; s.name == name {
			p.current.TookBack = p.current.TookBack || len(p.current.Rows) > s.rows
			p.current.Rows, p.savepoints = p.current.Rows[:s.rows], p.savepoints[:n+1]
			return nil
		}
	}
	return fmt.Errorf("transaction %s rolls back to a savepoint it does not have", p.current.GTID)
}

func (p *binlogParser) xa(text string) error {
	verb, id, _ := strings.Cut(text, " ")
	t := p.current
	switch verb {
	case "START":
		p.begun, t.XID = true, id
	case "PREPARE":
		if !p.begun || t.XID != id {
			return fmt.Errorf("transaction %s prepares another one", t.GTID)
		}
		if p.prepared[id] != nil {
			return fmt.Errorf("transaction %s is prepared twice", t.GTID)
		}
		rows := *t
		p.prepared[id] = &rows
		t.Kind, t.Rows = Prepare, nil
		return p.end(true)
	case "COMMIT":
		if p.begun { // COMMIT … ONE PHASE
			t.XID = ""
			return p.end(true)
		}
		t.Kind, t.XID = XACommit, id
		if rows := p.prepared[id]; rows != nil {
			t.Rows, t.TookBack = rows.Rows, rows.TookBack
		}
		delete(p.prepared, id)
		return p.end(true)
	case "ROLLBACK":
		t.Kind, t.XID = XARollback, id
		delete(p.prepared, id)
		return p.end(true)
	}
	return nil
}

// begin starts a transaction. One before it that had no BEGIN was a single statement, DDL.
func (p *binlogParser) begin(id string) error {
	if err := p.statementEnds(); err != nil {
		return err
	}
	p.current, p.begun, p.savepoints = &Transaction{GTID: id}, false, p.savepoints[:0]
	return nil
}

func (p *binlogParser) statementEnds() error {
	if p.current == nil {
		return nil
	}
	if p.begun {
		return fmt.Errorf("transaction %s has no end", p.current.GTID)
	}
	return p.end(true)
}

func (p *binlogParser) end(committed bool) error {
	if p.current == nil {
		return errors.New("commit outside a transaction")
	}
	if committed {
		p.done = append(p.done, *p.current)
	}
	p.current, p.image = nil, nil
	return nil
}

// row reads a line of a decoded row: a verb and a table, WHERE, SET, or a column.
func (p *binlogParser) row(text string) error {
	if p.current == nil {
		return errors.New("row outside a transaction")
	}
	for _, verb := range []string{"INSERT INTO ", "UPDATE ", "DELETE FROM "} {
		if name, ok := strings.CutPrefix(text, verb); ok {
			schema, table, ok := strings.Cut(strings.Trim(name, "`"), "`.`")
			if !ok {
				return errors.New("row without a table")
			}
			op := map[byte]byte{'I': 'c', 'U': 'u', 'D': 'd'}[verb[0]]
			p.current.Rows = append(p.current.Rows, Row{Schema: schema, Table: table, Op: op})
			p.image = nil
			return nil
		}
	}
	if len(p.current.Rows) == 0 {
		return errors.New("image without a row")
	}
	row := &p.current.Rows[len(p.current.Rows)-1]
	switch {
	case text == "WHERE":
		p.image = &row.Before
	case text == "SET":
		p.image = &row.After
	case strings.HasPrefix(text, "  @"):
		return p.column(text[len("  @"):])
	default:
		return errors.New("unknown line in a row")
	}
	return nil
}

// column reads `1='text' /* VARSTRING(80) … */`.
func (p *binlogParser) column(text string) error {
	number, value, ok := strings.Cut(text, "=")
	n, err := strconv.Atoi(number)
	if !ok || err != nil || p.image == nil || n != len(*p.image)+1 {
		return errors.New("a column is missing or out of order")
	}
	comment := strings.LastIndex(value, " /* ")
	if comment < 0 {
		return errors.New("a column has no type")
	}
	v := p.value(value[:comment])
	*p.image = append(*p.image, v)
	return nil
}

func (p *binlogParser) value(text string) Value {
	if text == "NULL" {
		return Value{Null: true}
	}
	if n := len(text); n >= 2 && text[0] == '\'' && text[n-1] == '\'' {
		return Value{Text: p.unescape(text[1 : n-1])}
	}
	signed, unsigned, _ := strings.Cut(text, " (") // -1 (18446744073709551615)
	return Value{Text: signed, Unsigned: strings.TrimSuffix(unsigned, ")")}
}

// unescape undoes mysqlbinlog's \', \\ and \x0a. mariadb-binlog escapes control characters only; and a backslash of the text itself cannot be
// told from them, so the load writes none.
func (p *binlogParser) unescape(text string) string {
	if !strings.Contains(text, `\`) {
		return text
	}
	var out strings.Builder
	for i := 0; i < len(text); i++ {
		if text[i] != '\\' || i+1 == len(text) {
			out.WriteByte(text[i])
			continue
		}
		next := text[i+1]
		if next == 'x' && i+3 < len(text) {
			if b, err := strconv.ParseUint(text[i+2:i+4], 16, 8); err == nil && b < ' ' {
				out.WriteByte(byte(b))
				i += 3
				continue
			}
		}
		if p.flavor == "mysql" && (next == '\'' || next == '\\') {
			out.WriteByte(next)
			i++
			continue
		}
		out.WriteByte('\\')
	}
	return out.String()
}
