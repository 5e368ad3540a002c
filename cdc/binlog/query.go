package binlog

import (
	"bytes"
	"fmt"
	"strings"
)

// queryEvent is a statement in the binlog: a transaction's bounds, a schema change, or what should have been rows.
type queryEvent struct {
	schema string // the session's default schema
	text   string // in the session's character set
	// What the event says of the session that text was written in.
	mode      sqlMode
	collation uint64 // of text; 0 when the event does not say
	// premature is set on MariaDB's START ALTER and ROLLBACK ALTER: their text is executed by a COMMIT ALTER, or never.
	premature bool
}

// sqlMode are the bits of sql_mode on which the meaning of quotes depends.
type sqlMode uint64

const (
	ansiQuotes         sqlMode = 1 << 2
	noBackslashEscapes sqlMode = 1 << 20
)

func parseQuery(body []byte) (queryEvent, error) {
	c := cursor{rest: body}
	c.take(4 + 4) // thread, seconds
	schema := c.uint(1)
	c.take(2) // error code
	status := cursor{rest: c.take(c.uint(2))}
	q := queryEvent{schema: string(c.take(schema))}
	c.take(1)
	if c.bad {
		return q, fmt.Errorf("query: %w", errShort)
	}
	q.parseStatus(&status)
	q.text = string(c.rest)
	return q, nil
}

// parseStatus reads the status variables up to one it does not know: servers write them in the order of their age.
func (q *queryEvent) parseStatus(c *cursor) {
	for len(c.rest) > 0 && !c.bad {
		switch c.uint(1) {
		case 0: // flags
			c.take(4)
		case 1:
			q.mode = sqlMode(c.uint(8))
		case 2: // catalog, with its NUL
			c.take(c.uint(1) + 1)
		case 3: // auto_increment's increment and offset
			c.take(2 + 2)
		case 4:
			q.collation = c.uint(2)
			c.take(2 + 2) // the connection's, the server's
		case 5, 6: // time zone; catalog
			c.take(c.uint(1))
		case 7, 8, 18: // lc_time_names; collation of the schema; of utf8mb4
			c.take(2)
		case 9: // tables of a multi-table update
			c.take(8)
		case 10: // length in the server before
			c.take(4)
		case 11: // invoker: user and host
			c.take(c.uint(1))
			c.take(c.uint(1))
		case 12: // schemas: names with NUL, or 254 for too many
			for n := c.uint(1); n > 0 && n != 254 && !c.bad; n-- {
				end := bytes.IndexByte(c.rest, 0)
				c.take(uint64(end + 1)) // nothing when there is no NUL
				c.bad = c.bad || end < 0
			}
		case 13, 128: // microseconds
			c.take(3)
		case 16, 19, 20: // explicit_defaults_for_timestamp; sql_require_primary_key; default_table_encryption
			c.take(1)
		case 17, 129: // MySQL's xid, MariaDB's
			c.take(8)
		case 130: // MariaDB: the phase of an ALTER
			const start, commit, rollback = 1 << 1, 1 << 2, 1 << 3
			phase := c.uint(1)
			q.premature = phase&(start|rollback) != 0
			if phase&(commit|rollback) != 0 {
				c.take(8)
			}
		default:
			return
		}
	}
}

// decode turns the text into UTF-8. Where that cannot be done it stays as it is.
func (q *queryEvent) decode(charsets *charsets) {
	if q.collation == 0 {
		return
	}
	cs, err := charsets.of(q.collation)
	if err != nil || cs.decode == nil {
		return
	}
	if text, err := cs.decode([]byte(q.text)); err == nil {
		q.text = string(text)
	}
}

// queryKind is what a statement means for the transaction it stands in.
type queryKind int

const (
	queryUnknown  queryKind = iota
	queryBegin              // BEGIN, START TRANSACTION
	queryCommit             // COMMIT
	queryRollback           // ROLLBACK of everything
	querySavepoint
	queryRollbackTo
	queryXA
	queryDML    // changes rows by a statement
	querySchema // changes no row, but for the tables it empties
	queryErases // removes some rows of a table, or brings some in, without row events
)

// statement is a classified query. table is set for queryErases: the table it empties, with its schema where the text has it.
type statement struct {
	kind          queryKind
	verb          string // the first word, upper case
	schema, table string
	// of ALTER TABLE … EXCHANGE or CONVERT PARTITION: the table that rows come from or go to
	otherSchema, otherTable string
	name                    string // of the savepoint
}

// classify looks at the words of a statement, as far as needed.
func classify(text string, mode sqlMode) statement {
	w := newWords(text, mode)
	verb := w.next()
	s := statement{verb: strings.ToUpper(verb.text)}
	if verb.quote != 0 {
		return s
	}
	switch s.verb {
	case "BEGIN":
		s.kind = queryBegin
	case "START": // START TRANSACTION; MariaDB writes START ALTER for a two-phase ALTER TABLE
		if s.kind = queryBegin; w.next().is("ALTER") {
			s.kind = querySchema
		}
	case "COMMIT":
		if s.kind = queryCommit; w.next().is("ALTER") {
			s.kind = querySchema
		}
	case "ROLLBACK":
		s.kind = queryRollback
		for word := w.next(); !word.end; word = w.next() {
			if word.is("TO") {
				s.kind = queryRollbackTo
				if w.peek().is("SAVEPOINT") {
					w.next()
				}
				s.name = w.next().text
				return s
			} else if word.is("ALTER") {
				s.kind = querySchema
			}
		}
	case "SAVEPOINT", "RELEASE": // SAVEPOINT name, RELEASE SAVEPOINT name
		s.kind = querySavepoint
		name := w.next()
		if s.verb == "RELEASE" {
			name = w.next()
		}
		s.name = name.text
	case "XA":
		s.kind = queryXA
	case "INSERT", "UPDATE", "DELETE", "REPLACE", "LOAD", "WITH", "SELECT", "CALL", "DO", "VALUES", "TABLE", "HANDLER", "EXECUTE", "IMPORT":
		s.kind = queryDML
	case "SET": // SET STATEMENT variable = value FOR statement
		s.kind = querySchema
		if w.peek().is("STATEMENT") {
			for word := w.next(); !word.end; word = w.next() {
				if word.is("FOR") {
					return classify(w.left(), mode)
				}
			}
		}
	case "ALTER":
		return classifyAlter(s, &w)
	case "CREATE":
		return classifyCreate(s, &w)
	case "DROP", "RENAME", "TRUNCATE", "GRANT", "REVOKE", "FLUSH", "ANALYZE", "OPTIMIZE", "REPAIR", "CHECK", "CHECKSUM", "INSTALL", "UNINSTALL",
		"RESET", "COMMENT", "LOCK", "UNLOCK", "": // "" is MariaDB's dummy event: only a comment
		s.kind = querySchema
	}
	return s
}

// classifyAlter finds what an ALTER TABLE does to partitions: it removes or exchanges rows without row events.
func classifyAlter(s statement, w *words) statement {
	s.kind = querySchema
	word := w.next()
	for word.is("ONLINE") || word.is("IGNORE") {
		word = w.next()
	}
	if !word.is("TABLE") {
		return s
	}
	name := w.next()
	if name.is("IF") { // IF EXISTS
		w.next()
		name = w.next()
	}
	s.schema, s.table = w.qualified(name)
	for previous, word := w.ahead, w.next(); !word.end; previous, word = word, w.next() {
		switch {
		case word.is("PARTITION") && (previous.is("TRUNCATE") || previous.is("DROP") || previous.is("EXCHANGE") || previous.is("CONVERT") || previous.is("TO")),
			word.is("TABLESPACE") && (previous.is("DISCARD") || previous.is("IMPORT")):
			s.kind = queryErases
		case word.is("TABLE") && (previous.is("WITH") || previous.is("CONVERT") || previous.is("TO")): // the other one of EXCHANGE, CONVERT
			s.otherSchema, s.otherTable = w.qualified(w.next())
		}
	}
	return s
}

// classifyCreate finds CREATE TABLE … SELECT as one statement, which fills the table.
func classifyCreate(s statement, w *words) statement {
	s.kind = querySchema
	word := w.next()
	for word.is("OR") || word.is("REPLACE") || word.is("TEMPORARY") {
		word = w.next()
	}
	if !word.is("TABLE") {
		return s
	}
	for word = w.next(); !word.end; word = w.next() {
		switch {
		case word.is("SELECT"), word.is("TABLE"), word.is("VALUES") && (w.ahead.is("ROW") || w.ahead.is("(")):
			s.kind = queryDML
		case word.isName() && !word.isNumber(): // a keyword behind its dot is a name
			w.qualified(word)
		}
	}
	return s
}

// words reads a statement word by word. Comments are passed over, but for what stands in /*! … */, which the server executes.
type words struct {
	text, rest string
	mode       sqlMode
	ahead      word // the one after the last, when it has been read
	read       bool
}

func newWords(text string, mode sqlMode) words { return words{text: text, rest: text, mode: mode} }

// word is a bare word or number, a quoted name or string, or one other character.
type word struct {
	text  string
	quote byte // 0 for a bare word
	from  int  // where it begins
	end   bool // there is none
}

func (w word) is(keyword string) bool { return w.quote == 0 && strings.EqualFold(w.text, keyword) }

// isName tells whether the word can be a name.
func (w word) isName() bool { return w.quote != 0 && w.text != "" || w.text != "" && isWord(w.text[0]) }

// isNumber tells whether the word is digits only, which no bare name is.
func (w word) isNumber() bool { return w.quote == 0 && strings.Trim(w.text, "0123456789") == "" }

// left is what next would go on with.
func (w *words) left() string { return w.text[w.peek().from:] }

// qualified reads the rest of a table's name that begins with first.
func (w *words) qualified(first word) (schema, table string) {
	if w.peek().is(".") {
		w.next()
		return first.text, w.next().text
	}
	return "", first.text
}

func (w *words) peek() word {
	if !w.read {
		w.ahead, w.read = w.scan(), true
	}
	return w.ahead
}

func (w *words) next() word {
	word := w.peek()
	w.read = false
	w.peek()
	return word
}

// scan reads the next word; its text is empty at the end.
func (w *words) scan() word {
	word := w.find()
	if word.quote == 0 {
		word.from = len(w.text) - len(w.rest) - len(word.text)
	}
	return word
}

func (w *words) find() word {
	for w.rest != "" {
		switch c := w.rest[0]; {
		case c <= ' ' || c == ';':
			w.rest = w.rest[1:]
		case c == '#', strings.HasPrefix(w.rest, "-- "), strings.HasPrefix(w.rest, "--\n"), strings.HasPrefix(w.rest, "--\t"):
			_, w.rest, _ = strings.Cut(w.rest, "\n")
		case strings.HasPrefix(w.rest, "/*!"), strings.HasPrefix(w.rest, "/*M!"):
			w.rest = strings.TrimLeft(w.rest[3:], "!0123456789")
		case strings.HasPrefix(w.rest, "*/"):
			w.rest = w.rest[2:]
		case strings.HasPrefix(w.rest, "/*"):
			_, w.rest, _ = strings.Cut(w.rest[2:], "*/")
		case c == '`' || c == '"' || c == '\'':
			return w.quoted(c)
		case isWord(c):
			n := 1
			for n < len(w.rest) && isWord(w.rest[n]) {
				n++
			}
			text := w.rest[:n]
			w.rest = w.rest[n:]
			return word{text: text}
		default:
			w.rest = w.rest[1:]
			return word{text: string(rune(c))}
		}
	}
	return word{end: true}
}

func isWord(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_' || c == '$' || c >= 0x80
}

// quoted reads a quoted name or string; the quote stands in it doubled, or in a string behind a backslash.
func (w *words) quoted(quote byte) word {
	var text strings.Builder
	found := word{quote: quote, from: len(w.text) - len(w.rest)}
	escapes := quote != '`' && w.mode&noBackslashEscapes == 0 && (quote != '"' || w.mode&ansiQuotes == 0)
	i := 1
	for ; i < len(w.rest); i++ {
		switch c := w.rest[i]; {
		case c == '\\' && escapes && i+1 < len(w.rest):
			i++
			text.WriteByte(w.rest[i])
		case c != quote:
			text.WriteByte(c)
		case i+1 < len(w.rest) && w.rest[i+1] == quote:
			i++
			text.WriteByte(c)
		default:
			w.rest = w.rest[i+1:]
			found.text = text.String()
			return found
		}
	}
	w.rest, found.text = "", text.String()
	return found
}
