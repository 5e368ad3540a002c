package pattern

import "testing"

func TestTable(t *testing.T) {
	for _, tt := range []struct {
		pattern, schema, table string
		want                   bool
	}{
		{"shop.*", "shop", "product", true},
		{"shop.*", "shops", "product", false},
		{"shop.*", "shop", "a/b", true},
		{"shop.*", "shop", "a.b", true},
		{"shop.a/b", "shop", "a/b", true},
		{"sh?p.[a-c]*", "shop", "cart", true},
		{"shop.Product", "shop", "product", false},
		{"*.*", "shop", "product", true},
		{"shop", "shop", "", false},
	} {
		if got := Table(tt.pattern, tt.schema, tt.table); got != tt.want {
			t.Errorf("%s matches %s.%s: got %v, want %v", tt.pattern, tt.schema, tt.table, got, tt.want)
		}
	}
	for _, bad := range []string{"", "shop", "shop.", ".product", "shop.[", "[.x"} {
		if CheckTable(bad) == nil {
			t.Errorf("pattern %q is accepted", bad)
		}
	}
}

func TestColumn(t *testing.T) {
	for _, tt := range []struct {
		pattern, schema, table, column string
		want                           bool
	}{
		{"shop.customer.email", "shop", "customer", "email", true},
		{"shop.customer.email", "shop", "customer", "EMail", true},
		{"shop.customer.EMAIL", "shop", "customer", "email", true},
		{"shop.Customer.email", "shop", "customer", "email", false},
		{"*.*.pass*", "shop", "customer", "Password", true},
		{"*.*.pass*", "shop", "a/b", "pass/word", true},
		{"shop.*.[A-C]*", "shop", "customer", "born", true},
		{"shop.a.b.email", "shop", "a.b", "email", true},
		{"shop.*.Ä", "shop", "customer", "ä", true},
		{"shop.customer.email", "shop", "customer", "email2", false},
	} {
		if got := Column(tt.pattern, tt.schema, tt.table, tt.column); got != tt.want {
			t.Errorf("%s matches %s.%s.%s: got %v, want %v", tt.pattern, tt.schema, tt.table, tt.column, got, tt.want)
		}
	}
	for _, bad := range []string{"", "shop", "shop.customer", "shop.customer.", "..x", "shop..x", "shop.customer.[", "shop.[.x"} {
		if CheckColumn(bad) == nil {
			t.Errorf("pattern %q is accepted", bad)
		}
	}
}
