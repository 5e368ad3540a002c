package binlog

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"testing"

	"github.com/millrace-go/millrace/internal/integration/servers"
)

// huge is a BLOB of 64 MiB.
func (v *verifier) huge(t *testing.T, kind servers.Kind) {
	const size = 64 << 20
	d := open(t, ownServer(t, kind), "hugevalue")
	d.exec(t, "SET GLOBAL max_allowed_packet = 268435456")
	d.DB = connect(t, d.addr.DSN(d.schema)) // which has the new setting
	w := d.writer(t)
	w.exec(t, "CREATE TABLE b (id INT PRIMARY KEY, v LONGBLOB)")
	from := d.executed(t)
	w.exec(t, fmt.Sprintf("INSERT INTO b VALUES (1, REPEAT(x'00ff10', %d))", size/3+1))
	w.exec(t, fmt.Sprintf("UPDATE b SET v = RIGHT(v, %d)", size))
	want := d.value(t, "SELECT SHA2(v, 256) FROM b")
	check := func(what string, image []byte) {
		t.Helper()
		text, ok := bytes.CutPrefix(bytes.TrimSuffix(image, []byte(`"}`)), []byte(`{"id":1,"v":"`))
		value := make([]byte, base64.StdEncoding.DecodedLen(len(text)))
		n, err := base64.StdEncoding.Decode(value, text)
		sum := fmt.Sprintf("%x", sha256.Sum256(value[:n]))
		v.same(t, ok && err == nil && n == size && sum == want, func() string {
			return fmt.Sprintf("%s: %d bytes with hash %s, want %d with %s (%v)", what, n, sum, size, want, err)
		})
	}
	got := changes(read(t, d.source(t), from, d.executed(t)))
	check("update", got[len(got)-1].After)
	if err := d.source(t).Select(t.Context(), d.schema, "b", "", func(_, image []byte) error {
		check("SELECT", image)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
}
