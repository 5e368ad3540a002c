package binlog

import (
	"context"
	"fmt"
	"slices"
	"strings"
)

// grants is what an account may do: privileges by what they are on, in the server's notation ("*.*", "`shop`.*", "`shop`.`stock`").
type grants map[string][]string

// parseGrant adds a line of SHOW GRANTS. A line it does not understand adds nothing: the account is granted less, never more.
func (g grants) parseGrant(line string) {
	rest, ok := strings.CutPrefix(line, "GRANT ")
	if !ok {
		return
	}
	privileges, rest, ok := strings.Cut(rest, " ON ")
	if !ok { // a role, whose own privileges stand in other lines
		return
	}
	object, _, ok := strings.Cut(rest, " TO ")
	if !ok {
		return
	}
	for privilege := range strings.SplitSeq(privileges, ",") {
		privilege = strings.TrimSpace(privilege)
		if privilege == "ALL PRIVILEGES" || privilege == "ALL" {
			privilege = "ALL"
		}
		g[object] = append(g[object], privilege)
	}
}

// on tells whether one of the privileges is granted on the object itself.
func (g grants) on(object string, privileges ...string) bool {
	return slices.ContainsFunc(g[object], func(have string) bool { return have == "ALL" || slices.Contains(privileges, have) })
}

// selects tells whether tables that match a filter pattern can be read, as far as the patterns can be compared: a schema pattern of
// a grant (with % and _) is taken as what it says, and a table's own grant only answers for that table.
func (g grants) selects(pattern string) bool {
	if g.on("*.*", "SELECT") {
		return true
	}
	schema, table, _ := strings.Cut(pattern, ".")
	for object := range g {
		s, t, ok := strings.Cut(object, ".")
		if !ok || !g.on(object, "SELECT") {
			continue
		}
		s, t = unquote(s), unquote(t)
		if likeMatch(s, schema) && (t == "*" || t == table) {
			return true
		}
	}
	return false
}

func quote(name string) string { return "`" + strings.ReplaceAll(name, "`", "``") + "`" }

func unquote(name string) string { return strings.ReplaceAll(strings.Trim(name, "`"), "``", "`") }

// likeMatch matches a name against the pattern of a schema grant: % any text, _ any character, \ the next one itself.
func likeMatch(pattern, name string) bool {
	if pattern == "" {
		return name == ""
	}
	switch pattern[0] {
	case '%':
		for i := 0; i <= len(name); i++ {
			if likeMatch(pattern[1:], name[i:]) {
				return true
			}
		}
		return false
	case '\\':
		if len(pattern) > 1 {
			return name != "" && name[0] == pattern[1] && likeMatch(pattern[2:], name[1:])
		}
	case '_':
		return name != "" && likeMatch(pattern[1:], name[1:])
	}
	return name != "" && name[0] == pattern[0] && likeMatch(pattern[1:], name[1:])
}

// statusPrivilege is what it takes to ask for the end of the binlog.
func (k *checker) statusPrivilege() string {
	if k.flavor == MariaDB {
		return "BINLOG MONITOR"
	}
	return "REPLICATION CLIENT"
}

func (k *checker) checkGrants(ctx context.Context) error {
	k.grants = grants{}
	statement := "SHOW GRANTS FOR CURRENT_USER()"
	if k.flavor == MySQL {
		role, err := k.value(ctx, "SELECT CURRENT_ROLE()")
		if err != nil {
			return err
		}
		if role != "" && role != "NONE" {
			statement += " USING " + role
		}
	} else {
		statement = "SHOW GRANTS" // with those of the active role
	}
	result, err := k.query(ctx, statement)
	if err != nil {
		return err
	}
	for i := range result.RowNumber() {
		line, err := result.GetString(i, 0)
		if err != nil {
			return err
		}
		k.grants.parseGrant(line)
	}
	account, err := k.value(ctx, "SELECT CURRENT_USER()")
	if err != nil {
		return err
	}
	if user, host, ok := cutLast(account, "@"); ok {
		account = fmt.Sprintf("'%s'@'%s'", user, host)
	}
	need := func(privilege string, also ...string) {
		if !k.grants.on("*.*", append(also, privilege)...) {
			k.problem(fmt.Sprintf("GRANT %s ON *.* TO %s", privilege, account), "account %s lacks %s", account, privilege)
		}
	}
	need("REPLICATION SLAVE")
	need(k.statusPrivilege(), "SUPER")
	patterns := k.cfg.Filter.Include
	if len(patterns) == 0 {
		patterns = []string{"*.*"}
	}
	for _, pattern := range patterns {
		if k.grants.selects(pattern) {
			continue
		}
		on := "*.*"
		if schema, table, _ := strings.Cut(pattern, "."); !strings.ContainsAny(strings.TrimSuffix(pattern, ".*"), "*?[\\") {
			if on = quote(schema) + ".*"; table != "*" {
				on = quote(schema) + "." + quote(table)
			}
		}
		k.problem(fmt.Sprintf("GRANT SELECT ON %s TO %s", on, account), "account %s lacks SELECT on %s", account, pattern)
	}
	return nil
}

func cutLast(s, sep string) (before, after string, found bool) {
	if i := strings.LastIndex(s, sep); i >= 0 {
		return s[:i], s[i+len(sep):], true
	}
	return s, "", false
}
