package binlog

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/millrace-go/millrace/cdc"
	"github.com/millrace-go/millrace/cdc/binlog"
	"github.com/millrace-go/millrace/internal/integration/servers"
)

var maskSecret = []byte("a secret of more than 16 bytes")

// hmacOf is the masked value of a JSON value.
func hmacOf(t *testing.T, value string) string {
	t.Helper()
	text := value
	if strings.HasPrefix(value, `"`) {
		if err := json.Unmarshal([]byte(value), &text); err != nil {
			t.Fatal(err)
		}
	}
	h := hmac.New(sha256.New, maskSecret)
	h.Write([]byte(text))
	return `"` + hex.EncodeToString(h.Sum(nil)) + `"`
}

// hmacSQL is the HMAC as the server computes it, of an expression that gives text or bytes.
func hmacSQL(expression string) string {
	pad := func(with byte) string {
		key := append(bytes.Clone(maskSecret), make([]byte, 64-len(maskSecret))...)
		for i := range key {
			key[i] ^= with
		}
		return fmt.Sprintf("x'%x'", key)
	}
	return fmt.Sprintf("SHA2(CONCAT(%s, UNHEX(SHA2(CONCAT(%s, %s), 256))), 256)", pad(0x5c), pad(0x36), expression)
}

// TestChoiceMasks: of every type, a column that is excluded, hashed, redacted and, where it is text, truncated; compared byte for byte with
// the unmasked stream, with the server's own HMAC where its SELECT has the text, and with its LEFT.
func TestChoiceMasks(t *testing.T) {
	onEach(t, func(t *testing.T, kind servers.Kind) {
		d := open(t, servers.Find(t, kind), "choice_masks")
		d.SetMaxOpenConns(1)
		d.exec(t, "SET SESSION sql_mode = '', time_zone = '+00:00'")
		seed := rand.Uint64()
		rnd := rand.New(rand.NewPCG(seed, 1))
		t.Logf("seed %d", seed)
		type table struct {
			define         string
			hashed, cut    map[string]string // by id, from the server
			selected       map[string]string // by key: Source.Select's image
			serverHash, is bool
		}
		tables := map[string]*table{}
		rules := func(c *binlog.Config, cut ...string) {
			c.Columns = cdc.Columns{Exclude: []string{"*.*.Dropped"}, Masks: []cdc.Mask{cdc.Hash(maskSecret, "choice_masks.t*.hashed"), cdc.Redact("***", "*.*.redacted")}}
			if len(cut) > 0 {
				c.Columns.Masks = append(c.Columns.Masks, cdc.Truncate(3, cut...))
			}
		}
		from := d.executed(t)
		for i, c := range columns() {
			if !c.on(kind) {
				continue
			}
			name := fmt.Sprintf("t%d", i)
			vt := &table{define: c.define, hashed: map[string]string{}, cut: map[string]string{}, selected: map[string]string{}}
			tables[name] = vt
			d.exec(t, fmt.Sprintf("CREATE TABLE %s (dropped %[2]s, hashed %[2]s, id INT PRIMARY KEY, redacted %[2]s, cut %[2]s, plain %[2]s)", name, c.define))
			d.exec(t, "BEGIN")
			values := append(c.values, randomValues(rnd, c.define, 20)...)
			for id, v := range append(values, "NULL") {
				switch {
				case strings.Contains(c.define, "GENERATED"):
					d.exec(t, fmt.Sprintf("INSERT INTO %s (id) VALUES (%d)", name, id))
				case v == "NULL" && strings.Contains(c.define, "NOT NULL"):
				case strings.Contains(v, "10000000") || strings.Contains(v, "500000"): // megabytes, five times
				default:
					d.exec(t, fmt.Sprintf("INSERT INTO %s (dropped, hashed, id, redacted, cut, plain) VALUES (%[2]s, %[2]s, %[3]d, %[2]s, %[2]s, %[2]s)", name, v, id))
				}
			}
			hashes := map[string]string{
				asText.expression:  "CONVERT(hashed USING utf8mb4)",
				asPlain.expression: "CAST(hashed AS CHAR)",
				asCount.expression: "CAST(CAST(hashed AS UNSIGNED) AS CHAR)",
				asBytes.expression: "REPLACE(TO_BASE64(UNHEX(HEX(hashed))), '\\n', '')",
			}
			expression := hashes[c.oracle.expression]
			if expression == "" && c.oracle.same == nil && c.oracle.expression == asNumber.expression {
				expression = "CAST(hashed AS CHAR)"
			}
			moment := strings.HasPrefix(c.define, "DATETIME") || strings.HasPrefix(c.define, "TIMESTAMP") // ISO 8601 in the record
			document := c.oracle.expression == asJSON.expression && c.define == "JSON"                    // the server's text has spaces
			if expression != "" && !moment && !document {
				vt.serverHash = true
				for _, row := range d.rows(t, fmt.Sprintf("SELECT id, hashed IS NULL, %s FROM %s", hmacSQL(expression), name)) {
					if vt.hashed[row[0]] = "null"; row[1] == "0" {
						vt.hashed[row[0]] = quoted(row[2])
					}
				}
			}
			vt.is = c.oracle.expression == asText.expression && !strings.HasPrefix(c.define, "ENUM") && !strings.HasPrefix(c.define, "SET")
			if vt.is {
				for _, row := range d.rows(t, fmt.Sprintf("SELECT id, cut IS NULL, CONVERT(LEFT(cut, 3) USING utf8mb4) FROM %s", name)) {
					if vt.cut[row[0]] = "null"; row[1] == "0" {
						vt.cut[row[0]] = quoted(row[2])
					}
				}
			}
			d.exec(t, "COMMIT")
			chosen := d.source(t, func(c *binlog.Config) {
				if rules(c); vt.is {
					rules(c, "choice_masks."+name+".cut")
				}
			})
			if err := chosen.Select(t.Context(), d.schema, name, "", func(key, image []byte) error {
				vt.selected[string(key)] = string(image)
				return nil
			}); err != nil {
				t.Fatalf("%s: %v", c.define, err)
			}
			d.exec(t, "DELETE FROM "+name)
		}
		until := d.executed(t)
		var cut []string
		for name, vt := range tables {
			if vt.is {
				cut = append(cut, "choice_masks."+name+".cut")
			}
		}
		whole := changes(read(t, d.source(t), from, until))
		masked := changes(read(t, d.source(t, func(c *binlog.Config) { rules(c, cut...) }), from, until))
		if len(whole) != len(masked) {
			t.Fatalf("%d changes with masks, %d without", len(masked), len(whole))
		}
		cases, byServer := 0, 0
		for i, c := range masked {
			vt := tables[c.Table.Name]
			for side, image := range [][]byte{c.Before, c.After} {
				if image == nil {
					continue
				}
				plain := members(t, [][]byte{whole[i].Before, whole[i].After}[side])
				id := plain["id"]
				hashed, cut := plain["hashed"], plain["cut"]
				if vt.serverHash {
					hashed = vt.hashed[id]
					byServer++
				} else if hashed != "null" {
					hashed = hmacOf(t, hashed)
				}
				redacted := `"***"`
				if plain["redacted"] == "null" {
					redacted = "null"
				}
				if vt.is {
					cut = vt.cut[id]
				}
				want := fmt.Sprintf(`{"hashed":%s,"id":%s,"redacted":%s,"cut":%s,"plain":%s}`, hashed, id, redacted, cut, plain["plain"])
				if cases++; string(image) != want {
					t.Errorf("%s: got %.500s, want %.500s", vt.define, image, want)
				}
				if selected := vt.selected[string(c.Key)]; string(image) != selected {
					t.Errorf("%s: the stream has %.500s, Select %.500s", vt.define, image, selected)
				}
			}
			if names := columnNames(c.Table); names != "hashed:hash id redacted:redact cut"+map[bool]string{true: ":truncate(3)"}[vt.is]+" plain" {
				t.Errorf("%s: columns %s", vt.define, names)
			}
			if !bytes.Equal(c.Key, whole[i].Key) || c.Row != whole[i].Row {
				t.Errorf("%s: key %s of row %d, want %s of row %d", vt.define, c.Key, c.Row, whole[i].Key, whole[i].Row)
			}
		}
		t.Logf("cases %d, hashes by the server %d", cases, byServer)
		if cases < 1500 || byServer < 600 {
			t.Errorf("only %d cases, %d of them hashed by the server", cases, byServer)
		}
	})
}

// members reads an image's raw values.
func members(t *testing.T, image []byte) map[string]string {
	t.Helper()
	var raw map[string]json.RawMessage
	if err := json.Unmarshal(image, &raw); err != nil {
		t.Fatal(err)
	}
	out := map[string]string{}
	for name, value := range raw {
		out[name] = string(value)
	}
	return out
}

func columnNames(table *cdc.Table) string {
	var names []string
	for _, c := range table.Columns {
		if c.Mask != "" {
			c.Name += ":" + c.Mask
		}
		names = append(names, c.Name)
	}
	return strings.Join(names, " ")
}

// TestChoiceTruncate: what is left of a text in any character set is the server's LEFT of it.
func TestChoiceTruncate(t *testing.T) {
	onEach(t, func(t *testing.T, kind servers.Kind) {
		d := open(t, servers.Find(t, kind), "choice_cut")
		d.exec(t, "CREATE TABLE texts (id INT PRIMARY KEY, v VARCHAR(40))")
		for id, text := range []string{"", "a", "ab", "grün ß", "日本語テキスト", "한국어 문장", "Привет, мир", "中文字符串", "😀a😀b", "\"q\\\n\t\x01", strings.Repeat("é", 40)} {
			d.exec(t, "INSERT INTO texts VALUES (?, ?)", id, text)
		}
		var defines, names []string
		converted := ""
		for _, row := range d.rows(t, "SELECT CHARACTER_SET_NAME FROM information_schema.CHARACTER_SETS WHERE CHARACTER_SET_NAME <> 'binary' ORDER BY 1") {
			names = append(names, "c_"+row[0])
			converted += ", CONVERT(v USING " + row[0] + ")"
			defines = append(defines, fmt.Sprintf("c_%s VARCHAR(40) CHARACTER SET %[1]s", row[0]))
		}
		for _, length := range []int{0, 1, 2, 7, 40} {
			table := fmt.Sprintf("t%d", length)
			d.exec(t, fmt.Sprintf("CREATE TABLE %s (id INT PRIMARY KEY, %s)", table, strings.Join(defines, ", ")))
			from := d.executed(t)
			// What a character set lacks becomes a question mark.
			d.exec(t, fmt.Sprintf("INSERT IGNORE INTO %s SELECT id%s FROM texts", table, converted))
			source := d.source(t, func(c *binlog.Config) { c.Columns.Masks = []cdc.Mask{cdc.Truncate(length, "*.*.C_*")} })
			got := changes(read(t, source, from, d.executed(t)))
			var list []string
			for _, name := range names {
				list = append(list, fmt.Sprintf("CONVERT(LEFT(%s, %d) USING utf8mb4)", name, length))
			}
			rows := d.rows(t, fmt.Sprintf("SELECT %s FROM %s ORDER BY id", strings.Join(list, ", "), table))
			if len(rows) != len(got) {
				t.Fatalf("%d rows in the stream, %d in the table", len(got), len(rows))
			}
			for id, row := range rows {
				image := members(t, got[id].After)
				for i, name := range names {
					if want := quoted(row[i]); image[name] != want {
						t.Errorf("%s, row %d to %d characters: got %s, want %s", name, id, length, image[name], want)
					}
				}
			}
		}
	})
}

// TestChoiceDocuments: partial updates of JSON documents that are masked, beside excluded ones, give the mask of the whole document.
func TestChoiceDocuments(t *testing.T) {
	d := open(t, servers.Find(t, servers.MySQL), "choice_documents")
	d.SetMaxOpenConns(1)
	d.exec(t, "CREATE TABLE t (dropped JSON, id INT PRIMARY KEY, hashed JSON, gone JSON, redacted JSON, plain JSON)")
	d.exec(t, "SET SESSION binlog_row_value_options = 'PARTIAL_JSON'")
	from := d.executed(t)
	document := `'{"a": 1, "b": "` + strings.Repeat("long", 50) + `", "c": [1, 2, 3]}'`
	d.exec(t, fmt.Sprintf("INSERT INTO t VALUES (%[1]s, 1, %[1]s, %[1]s, %[1]s, %[1]s), (NULL, 2, NULL, %[1]s, NULL, %[1]s)", document))
	for i := range 12 {
		list := ""
		for at, column := range []string{"dropped", "hashed", "gone", "redacted", "plain"} {
			if i&(1<<at) == 0 || i == 0 {
				list += fmt.Sprintf(", %[1]s = JSON_SET(%[1]s, '$.a', %[2]d, '$.c[1]', 'x%[2]d')", column, i)
			}
		}
		d.exec(t, "UPDATE t SET "+list[2:])
	}
	until := d.executed(t)
	events := d.rows(t, fmt.Sprintf("SHOW BINLOG EVENTS IN '%s' FROM %d LIMIT 1000", from.File, from.Offset))
	if !slices.ContainsFunc(events, func(row []string) bool { return row[2] == "Update_rows_partial" }) {
		t.Fatalf("no update is partial: %v", events)
	}
	whole := changes(read(t, d.source(t), from, until))
	masked := changes(read(t, d.source(t, func(c *binlog.Config) {
		c.Columns = cdc.Columns{Exclude: []string{"*.*.dropped", "*.t.gone"}, Masks: []cdc.Mask{cdc.Hash(maskSecret, "*.*.hashed"), cdc.Redact("-", "*.*.redacted")}}
	}), from, until))
	if len(whole) != len(masked) || len(whole) != 26 {
		t.Fatalf("%d changes with masks, %d without, want 26", len(masked), len(whole))
	}
	for i, c := range masked {
		for side, image := range [][]byte{c.Before, c.After} {
			if image == nil {
				continue
			}
			plain := members(t, [][]byte{whole[i].Before, whole[i].After}[side])
			hashed, redacted := plain["hashed"], `"-"`
			if hashed == "null" {
				redacted = "null"
			} else {
				hashed = hmacOf(t, hashed)
			}
			if want := fmt.Sprintf(`{"id":%s,"hashed":%s,"redacted":%s,"plain":%s}`, plain["id"], hashed, redacted, plain["plain"]); string(image) != want {
				t.Errorf("change %d: got %s, want %s", i, image, want)
			}
		}
	}
	if last := d.value(t, "SELECT CAST(plain AS CHAR) FROM t WHERE id = 1"); compact(last) != members(t, masked[24].After)["plain"] {
		t.Errorf("the last document is %s, in the table %s", masked[24].After, last)
	}
}

// TestChoiceRefused: what a choice cannot mean is found by Check, and by the stream when a row comes.
func TestChoiceRefused(t *testing.T) {
	onEach(t, func(t *testing.T, kind servers.Kind) {
		d := open(t, servers.Find(t, kind), "choice_refused")
		d.exec(t, "CREATE TABLE customer (id INT, region CHAR(2), mail VARCHAR(50), age INT, PRIMARY KEY (region, id), UNIQUE (mail))")
		d.exec(t, "CREATE TABLE visit (who INT NOT NULL, page VARCHAR(20), UNIQUE (who))")
		from := d.executed(t)
		d.exec(t, "INSERT INTO customer VALUES (1, 'de', 'a@b', 30)")
		until := d.executed(t)
		masks := func(m ...cdc.Mask) func(*binlog.Config) { return func(c *binlog.Config) { c.Columns.Masks = m } }
		keys := func(columns ...string) func(*binlog.Config) {
			return func(c *binlog.Config) { c.Keys = cdc.Keys{{Tables: "*.customer", Columns: columns}} }
		}
		for _, tt := range []struct {
			name, column, what string
			edit               func(*binlog.Config)
		}{
			{"excluded", "region", "leaves it out", func(c *binlog.Config) { c.Columns.Exclude = []string{"*.customer.Region"} }},
			{"not included", "id", "leaves it out", func(c *binlog.Config) { c.Columns.Include = []string{"*.*.r*"} }},
			{"nothing included", "", "leaves out every column", func(c *binlog.Config) { c.Columns.Include = []string{"*.visit.*"} }},
			{"redacted", "id", "redact", masks(cdc.Redact("", "*.customer.id"))},
			{"truncated key", "region", "truncate(1)", masks(cdc.Truncate(1, "*.customer.*g*n"))},
			{"truncated number", "age", "int", masks(cdc.Truncate(1, "*.customer.age"))},
			{"no such column", "email", "no such column", keys("id", "email")},
			{"chosen key excluded", "mail", "leaves it out", func(c *binlog.Config) { keys("mail")(c); c.Columns.Exclude = []string{"*.*.mail"} }},
		} {
			t.Run(tt.name, func(t *testing.T) {
				source := d.source(t, tt.edit)
				found := 0
				for _, p := range problems(t, source) {
					if strings.Contains(p.What, "choice_refused.customer") && strings.Contains(p.What, tt.column) && strings.Contains(p.What, tt.what) && p.Fix != "" {
						found++
					}
				}
				if found != 1 {
					t.Errorf("check has %d such problems, want 1: %v", found, source.Check(t.Context()))
				}
				stream, err := source.Open(t.Context(), from)
				if err != nil {
					t.Fatal(err)
				}
				defer stream.Close()
				_, err = readStream(t.Context(), stream, from, until)
				refused, ok := errors.AsType[*cdc.DecodeError](err)
				if !ok || refused.Table != "choice_refused.customer" || refused.Column != tt.column || !strings.Contains(err.Error(), tt.what) || !strings.Contains(err.Error(), "Fix: ") {
					t.Errorf("stream: got %v, want an error that names column %q and says %q", err, tt.column, tt.what)
				}
			})
		}
		t.Run("unmatched", func(t *testing.T) {
			var warned strings.Builder
			source := d.source(t, masks(cdc.Hash(maskSecret, "*.customer.mail", "*.customer.email"), cdc.Redact("", "*.gone.x")), func(c *binlog.Config) {
				c.Keys = cdc.Keys{{Tables: "*.visits", Columns: []string{"who"}}}
				c.Logger = slog.New(slog.NewTextHandler(&warned, nil))
			})
			if err := source.Check(t.Context()); err != nil {
				t.Error(err)
			}
			for pattern, want := range map[string]bool{"*.customer.mail": false, "*.customer.email": true, "*.gone.x": true, "*.visits": true} {
				if strings.Contains(warned.String(), "pattern="+pattern) != want {
					t.Errorf("a warning about %s: want %v, got %s", pattern, want, &warned)
				}
			}
		})
		if kind == servers.MariaDB {
			d.exec(t, "CREATE TABLE kept (id INT PRIMARY KEY, age INT) WITH SYSTEM VERSIONING")
			mentions(t, problems(t, d.source(t, masks(cdc.Truncate(1, "*.kept.age")))), "choice_refused.kept column age")
		}
	})
}
