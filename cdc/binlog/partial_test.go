package binlog

import "testing"

// TestPartialRowsConfigID: a log must not mix images of both kinds without notice.
func TestPartialRowsConfigID(t *testing.T) {
	var ids []string
	for _, partial := range []bool{false, true} {
		s, err := New(Config{Addr: "db.example:3306", User: "cdc", PartialRows: partial})
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, s.ConfigID())
	}
	if ids[0] == ids[1] {
		t.Errorf("both settings have the id %s", ids[0])
	}
}
