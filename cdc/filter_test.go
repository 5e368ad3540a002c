package cdc

import "testing"

func TestFilter(t *testing.T) {
	for _, tt := range []struct {
		filter        Filter
		schema, table string
		want          bool
	}{
		{Filter{}, "shop", "product", true},
		{Filter{}, "mysql", "user", false},
		{Filter{Include: []string{"mysql.*"}}, "mysql", "user", false},
		{Filter{Include: []string{"shop.*"}}, "shop", "product", true},
		{Filter{Include: []string{"shop.*"}}, "shops", "product", false},
		{Filter{Include: []string{"sh?p.pro*"}}, "shop", "product", true},
		{Filter{Include: []string{"shop.*"}, Exclude: []string{"shop.tmp_*"}}, "shop", "tmp_1", false},
		{Filter{Exclude: []string{"*.audit"}}, "shop", "audit", false},
	} {
		if got := tt.filter.Match(tt.schema, tt.table); got != tt.want {
			t.Errorf("%v matches %s.%s: got %v, want %v", tt.filter, tt.schema, tt.table, got, tt.want)
		}
	}
	for _, bad := range []string{"shop", "", "shop.[", "[.x"} {
		if err := (Filter{Include: []string{bad}}).Validate(); err == nil {
			t.Errorf("pattern %q is accepted", bad)
		}
		if err := (Filter{Exclude: []string{bad}}).Validate(); err == nil {
			t.Errorf("pattern %q is accepted", bad)
		}
	}
}
