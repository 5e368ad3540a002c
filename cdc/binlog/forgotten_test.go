package binlog

import "testing"

// TestRecovered reads rows as both servers print them.
func TestRecovered(t *testing.T) {
	for _, tt := range []struct {
		flavor string
		row    map[string]string
		want   string // empty: refused
	}{
		{MySQL, map[string]string{"formatid": "7", "gtrid_length": "3", "bqual_length": "1", "data": "0x61206263"}, "X'612062',X'63',7"},
		{MySQL, map[string]string{"formatid": "4294967297", "gtrid_length": "0", "bqual_length": "0", "data": "0x"}, "X'',X'',4294967297"},
		{MySQL, map[string]string{"formatid": "1", "gtrid_length": "9", "bqual_length": "0", "data": "0x61"}, ""},
		{MySQL, map[string]string{"formatid": "1", "gtrid_length": "1", "bqual_length": "0", "data": "a"}, ""},
		{MariaDB, map[string]string{"formatid": "7", "data": "X'612062',X'63',7"}, "X'612062',X'63',7"},
		{MariaDB, map[string]string{"formatid": "1", "data": "'it''s'"}, "X'69742773',X'',1"},
		{MariaDB, map[string]string{"formatid": "1", "data": "it's"}, ""},
	} {
		id, err := recovered(tt.row, tt.flavor)
		if tt.want == "" {
			if err == nil {
				t.Errorf("%v: got %s, want an error", tt.row, id)
			}
		} else if err != nil || id.String() != tt.want {
			t.Errorf("%v: got %s, %v, want %s", tt.row, id, err, tt.want)
		}
	}
}
