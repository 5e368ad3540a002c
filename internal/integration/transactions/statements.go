package transactions

import (
	"fmt"
	"strings"
)

// statement changes rows, or tries to.
type statement struct {
	text   string
	marks  bool // writes the transaction's number
	upsert bool // the server counts a changed row as two
}

const (
	commonKeys = 300    // keys that all clients change
	slotKeys   = 10     // keys of an XA transaction's own: those that it locks until it is completed
	firstSlot  = 10_000 // where they begin
)

// key is a row's key: of the common ones, or of an XA transaction's own.
func (t *tx) key() int {
	if t.slot > 0 {
		return firstSlot + t.slot*slotKeys + t.w.rnd.IntN(slotKeys)
	}
	return t.w.rnd.IntN(commonKeys)
}

// next numbers a statement.
func (t *tx) next() string {
	t.n++
	return fmt.Sprintf("%d, %d", t.entry.Number, t.n)
}

func (t *tx) set() string {
	t.n++
	return fmt.Sprintf("tx = %d, n = %d", t.entry.Number, t.n)
}

// statement makes a statement on the tables with transactions.
func (t *tx) statement() statement {
	r := t.w.rnd
	text := strings.Repeat(string(rune('a'+r.IntN(26))), 1+r.IntN(30))
	id := t.key()
	shape := [...]string{"shape_a", "shape_b", "item"}[r.IntN(3)]
	if t.slot > 0 {
		shape = "item" // what is prepared would hold up schema changes
	}
	switch r.IntN(11) {
	case 0:
		return t.insert("INSERT IGNORE INTO item VALUES ", 1+r.IntN(8), func() string { return fmt.Sprint(t.key()) }, text)
	case 1:
		return t.insert("INSERT IGNORE INTO part VALUES ", 1+r.IntN(8), func() string { return fmt.Sprintf("%d, '%c'", t.key(), 'a'+r.IntN(3)) }, text)
	case 2:
		return statement{marks: true, upsert: true, text: fmt.Sprintf("INSERT INTO %s (id, tx, n, v) VALUES (%d, %s, '%s') ON DUPLICATE KEY UPDATE %s",
			shape, id, t.next(), text, fmt.Sprintf("tx = %d, n = %d, v = '%s'", t.entry.Number, t.n, text))}
	case 3:
		return statement{marks: true, text: fmt.Sprintf("UPDATE %s SET %s, v = '%s' WHERE id BETWEEN %d AND %d", shape, t.set(), text, id, id+r.IntN(6))}
	case 4: // changes the key
		return statement{marks: true, text: fmt.Sprintf("UPDATE item SET %s, id = %d WHERE id = %d", t.set(), t.key(), id)}
	case 5: // changes one column of two in the key
		return statement{marks: true, text: fmt.Sprintf("UPDATE part SET %s, b = '%c' WHERE a = %d AND b = 'a'", t.set(), 'd'+r.IntN(3), id)}
	case 6:
		return statement{text: fmt.Sprintf("DELETE FROM item WHERE id BETWEEN %d AND %d", id, id+r.IntN(3))}
	case 7:
		return statement{text: fmt.Sprintf("DELETE FROM part WHERE a = %d", id)}
	case 8: // two tables
		return statement{marks: true, text: fmt.Sprintf("UPDATE item, part SET item.tx = %[1]d, item.n = %[2]d, part.tx = %[1]d, part.n = %[2]d WHERE item.id = part.a AND item.id = %[3]d",
			t.entry.Number, t.increment(), id)}
	case 9:
		if t.slot > 0 {
			return t.audit(1)
		}
		return statement{marks: true, upsert: true, text: fmt.Sprintf("INSERT INTO brief VALUES (%d, %s, '%s') ON DUPLICATE KEY UPDATE %s",
			id, t.next(), text, fmt.Sprintf("tx = %d, n = %d", t.entry.Number, t.n))}
	default:
		return statement{marks: true, text: fmt.Sprintf("UPDATE part SET %s, v = '%s' WHERE a BETWEEN %d AND %d", t.set(), text, id, id+r.IntN(6))}
	}
}

func (t *tx) increment() int {
	t.n++
	return t.n
}

// insert is an INSERT of several rows.
func (t *tx) insert(into string, rows int, key func() string, text string) statement {
	var b strings.Builder
	b.WriteString(into)
	numbers := t.next()
	for i := range rows {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, "(%s, %s, '%s')", key(), numbers, text)
	}
	return statement{text: b.String(), marks: true}
}

// audit inserts rows that nobody touches again.
func (t *tx) audit(rows int) statement {
	k, text := 0, "audit"
	if rows > 100 {
		text = strings.Repeat("x", 250)
	}
	return t.insert("INSERT INTO audit VALUES ", rows, func() string {
		k++
		return fmt.Sprintf("%d, %d", t.entry.Number, t.n*10_000+k)
	}, text)
}

// plain changes one row without transactions, among the client's own.
func (t *tx) plain() statement {
	r := t.w.rnd
	id := t.w.id*1000 + r.IntN(20)
	switch r.IntN(3) {
	case 0:
		return statement{text: fmt.Sprintf("DELETE FROM plain WHERE id = %d", id)}
	case 1:
		return statement{marks: true, text: fmt.Sprintf("UPDATE plain SET %s WHERE id BETWEEN %d AND %d", t.set(), id, id+3)}
	default:
		return statement{marks: true, upsert: true, text: fmt.Sprintf("INSERT INTO plain VALUES (%d, %s, 'plain') ON DUPLICATE KEY UPDATE %s",
			id, t.next(), fmt.Sprintf("tx = %d, n = %d", t.entry.Number, t.n))}
	}
}
