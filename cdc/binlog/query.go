package binlog

import (
	"fmt"
	"strings"
)

// queryEvent is a statement in the binlog: a transaction's bounds, a schema change, or what should have been rows.
type queryEvent struct {
	schema string // the session's default schema
	text   string
}

func parseQuery(body []byte) (queryEvent, error) {
	c := cursor{rest: body}
	c.take(4 + 4) // thread, seconds
	schema := c.uint(1)
	c.take(2) // error code
	c.take(c.uint(2))
	q := queryEvent{schema: string(c.take(schema))}
	c.take(1)
	if c.bad {
		return q, fmt.Errorf("query: %w", errShort)
	}
	q.text = string(c.rest)
	return q, nil
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
	querySchema // changes no row, or none of a table that the filter takes
	queryErases // removes rows of a table without row events
)

// statement is a classified query. table is set for queryErases: the table it empties, with its schema where the text has it.
type statement struct {
	kind          queryKind
	verb          string // the first word, upper case
	schema, table string
}

// classify looks at the words of a statement, as far as needed.
func classify(text string) statement {
	w := words{rest: text}
	verb := w.next()
	s := statement{verb: strings.ToUpper(verb.text)}
	if verb.quoted {
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
		for word := w.next(); word.text != ""; word = w.next() {
			if word.is("TO") {
				s.kind = queryRollbackTo
			} else if word.is("ALTER") {
				s.kind = querySchema
			}
		}
	case "SAVEPOINT", "RELEASE":
		s.kind = querySavepoint
	case "XA":
		s.kind = queryXA
	case "INSERT", "UPDATE", "DELETE", "REPLACE", "LOAD", "WITH", "SELECT", "CALL", "DO", "VALUES", "TABLE", "HANDLER", "EXECUTE", "IMPORT":
		s.kind = queryDML
	case "TRUNCATE":
		s.kind = queryErases
		name := w.next()
		if name.is("TABLE") {
			name = w.next()
		}
		s.schema, s.table = w.qualified(name)
	case "SET": // SET STATEMENT variable = value FOR statement
		s.kind = querySchema
		if w.peek().is("STATEMENT") {
			for word := w.next(); word.text != ""; word = w.next() {
				if word.is("FOR") {
					return classify(w.ahead.text + " " + w.rest)
				}
			}
		}
	case "ALTER":
		return classifyAlter(s, &w)
	case "CREATE":
		return classifyCreate(s, &w)
	case "DROP", "RENAME", "GRANT", "REVOKE", "FLUSH", "ANALYZE", "OPTIMIZE", "REPAIR", "CHECK", "CHECKSUM", "INSTALL", "UNINSTALL",
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
	for previous, word := w.ahead, w.next(); word.text != ""; previous, word = word, w.next() {
		switch {
		case word.is("PARTITION") && (previous.is("TRUNCATE") || previous.is("DROP") || previous.is("EXCHANGE") || previous.is("CONVERT")),
			word.is("TABLESPACE") && (previous.is("DISCARD") || previous.is("IMPORT")):
			s.kind = queryErases
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
	for word = w.next(); word.text != ""; word = w.next() {
		if word.is("SELECT") || word.is("VALUES") && w.ahead.is("ROW") {
			s.kind = queryDML
		}
	}
	return s
}

// words reads a statement word by word. Comments are passed over, but for what stands in /*! … */, which the server executes.
type words struct {
	rest  string
	ahead word // the one after the last, when it has been read
	read  bool
}

// word is a bare word or number, a quoted name, or one other character.
type word struct {
	text   string
	quoted bool
}

func (w word) is(keyword string) bool { return !w.quoted && strings.EqualFold(w.text, keyword) }

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
	return word{}
}

func isWord(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_' || c == '$' || c >= 0x80
}

// quoted reads a quoted name or string; the quote stands in it doubled, or in a string behind a backslash.
func (w *words) quoted(quote byte) word {
	var text strings.Builder
	i := 1
	for ; i < len(w.rest); i++ {
		switch c := w.rest[i]; {
		case c == '\\' && quote != '`' && i+1 < len(w.rest):
			i++
			text.WriteByte(w.rest[i])
		case c != quote:
			text.WriteByte(c)
		case i+1 < len(w.rest) && w.rest[i+1] == quote:
			i++
			text.WriteByte(c)
		default:
			w.rest = w.rest[i+1:]
			return word{text: text.String(), quoted: true}
		}
	}
	w.rest = ""
	return word{text: text.String(), quoted: true}
}
