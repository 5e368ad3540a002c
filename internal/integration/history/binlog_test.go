package history

import (
	"os"
	"strings"
	"testing"
)

// The texts are cut from what the servers' own programs printed of one load each.
func TestParseBinlog(t *testing.T) {
	for _, flavor := range []string{"mysql", "mariadb"} {
		t.Run(flavor, func(t *testing.T) {
			text, err := os.Open("testdata/" + flavor + ".txt")
			if err != nil {
				t.Fatal(err)
			}
			defer text.Close()
			got, err := ParseBinlog(text, flavor)
			if err != nil {
				t.Fatal(err)
			}
			if len(got) != 7 {
				t.Fatalf("%d transactions, want 7", len(got))
			}
			if len(got[0].Rows)+len(got[1].Rows) != 0 {
				t.Error("DDL has rows")
			}
			ops := func(n int) (out string) {
				for _, r := range got[n].Rows {
					out += string(r.Op) + ":" + r.Table + " "
				}
				return strings.TrimSpace(out)
			}
			for n, want := range map[int]string{
				2: "u:product u:product",
				3: "d:stock d:stock d:product d:product",
				4: "u:category u:category u:category",
				6: "u:product u:stock",
			} {
				if ops(n) != want {
					t.Errorf("transaction %d is %q, want %q", n, ops(n), want)
				}
			}
			jam := got[2].Rows[1]
			if jam.Before[2].Text != "L'Atelier Rosie's jam 700 g" || !jam.Before[3].Null || jam.After[4].Text != "23.57" {
				t.Errorf("quotes, NULL or decimal: %+v", jam)
			}
			if v := got[4].Rows[0].After[2]; v.Text != "-6" || v.Unsigned != "4294967290" {
				t.Errorf("negative number: %+v", v)
			}
			if got[3].Rows[2].After != nil || got[3].Rows[2].Before[3].Text != `"best of the year"` {
				t.Errorf("delete: %+v", got[3].Rows[2])
			}
			if flavor == "mariadb" && got[6].GTID != "0-45303-2223" {
				t.Errorf("gtid %q", got[6].GTID)
			}
			if flavor == "mysql" && got[6].GTID != "3e11fa47-71ca-11e1-9e33-c80aa9429562:2224" {
				t.Errorf("gtid %q", got[6].GTID)
			}
		})
	}
}

func TestParseBinlogRefusesTornText(t *testing.T) {
	whole, err := os.ReadFile("testdata/mysql.txt")
	if err != nil {
		t.Fatal(err)
	}
	begin := strings.Index(string(whole), "### UPDATE")
	for name, text := range map[string]string{
		"ends inside a transaction": string(whole[:begin+400]),
		"a column is missing":       strings.Replace(string(whole), "###   @2=2756", "###   @3=2756", 1),
		"row without transaction":   string(whole[begin:]),
	} {
		if _, err := ParseBinlog(strings.NewReader(text), "mysql"); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestUnescape(t *testing.T) {
	mysql, mariadb := &binlogParser{flavor: "mysql"}, &binlogParser{flavor: "mariadb"}
	for _, c := range []struct {
		p          *binlogParser
		text, want string
	}{
		{mysql, `'L\'Atelier \\ \x0a.'`, "L'Atelier \\ \n."},
		{mariadb, `'L'Atelier \x0a.'`, "L'Atelier \n."},
		{mysql, `''`, ""},
	} {
		if got := c.p.value(c.text); got.Text != c.want {
			t.Errorf("%s is %q, want %q", c.text, got.Text, c.want)
		}
	}
}
