package binlog

import (
	"context"
	"fmt"
	"strings"
)

// checkForeignKeys finds captured tables whose rows a foreign key changes: InnoDB does that by itself, and no row event tells of it.
// MySQL does it above InnoDB since 9.6, unless it is told not to.
func (k *checker) checkForeignKeys(ctx context.Context) error {
	if k.variables["innodb_native_foreign_keys"] == "OFF" {
		return nil
	}
	tables, err := k.tables(ctx)
	if err != nil {
		return err
	}
	for _, t := range tables {
		name := quote(t.Schema) + "." + quote(t.Name)
		// information_schema.REFERENTIAL_CONSTRAINTS shows nothing to an account that may only read.
		created, err := k.row(ctx, "SHOW CREATE TABLE "+name)
		if transient(err) || ctx.Err() != nil {
			return err
		}
		if err != nil { // dropped meanwhile, or not granted, which is a problem of its own
			continue
		}
		for line := range strings.Lines(created["create table"]) {
			if constraint, rules := foreignKeyRules(line); len(rules) > 0 {
				k.problem(fmt.Sprintf("ALTER TABLE %s DROP FOREIGN KEY %s, and add it without these rules; or exclude the table", name, quote(constraint)),
					"foreign key %s of table %s has %s, and the server does not write what that changes to its binlog", constraint, t,
					strings.Join(rules, " and "))
			}
		}
	}
	return nil
}

// foreignKeyRules reads a line of SHOW CREATE TABLE: the name of a foreign key and those of its rules that change rows.
func foreignKeyRules(line string) (constraint string, rules []string) {
	w := words{rest: line}
	if !w.next().is("CONSTRAINT") {
		return "", nil
	}
	constraint = w.next().text
	if !w.next().is("FOREIGN") {
		return "", nil
	}
	for word := w.next(); word.text != ""; word = w.next() {
		if !word.is("ON") {
			continue
		}
		event, does := w.next(), w.next()
		if does.is("CASCADE") {
			rules = append(rules, "ON "+strings.ToUpper(event.text)+" CASCADE")
		} else if does.is("SET") {
			rules = append(rules, "ON "+strings.ToUpper(event.text)+" SET "+strings.ToUpper(w.next().text))
		}
	}
	return constraint, rules
}
