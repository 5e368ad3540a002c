package check

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
	Rows []Row // in the order of the binlog; none for DDL
}

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
// understands ordinary transactions and DDL; a transaction that ends in ROLLBACK is left out.
func ParseBinlog(r io.Reader, flavor string) ([]Transaction, error) {
	p := &binlogParser{flavor: flavor}
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
	if p.current != nil {
		return nil, fmt.Errorf("binlog text ends inside transaction %s", p.current.GTID)
	}
	return p.done, nil
}

type binlogParser struct {
	flavor  string
	done    []Transaction
	current *Transaction // between its GTID and its end
	begun   bool         // BEGIN was seen
	image   *[]Value     // where the next column belongs
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
	case line == "BEGIN" || line == "START TRANSACTION":
		p.begun = true
	case line == "COMMIT/*!*/;" || line == "COMMIT":
		return p.end(true)
	case line == "ROLLBACK" || line == "ROLLBACK/*!*/;":
		if p.current != nil && p.begun {
			return p.end(false)
		}
	}
	return nil
}

// begin starts a transaction. One before it that had no BEGIN was a single statement, DDL.
func (p *binlogParser) begin(id string) error {
	if err := p.statementEnds(); err != nil {
		return err
	}
	p.current, p.begun = &Transaction{GTID: id}, false
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
