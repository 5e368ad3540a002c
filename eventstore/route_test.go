package eventstore

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestRoutes(t *testing.T) {
	routes := Routes{
		{Tables: "shop.order_*", Topic: "{schema}.orders"},
		{Tables: "shop.order_old", Topic: "shop.archive"},
		{Tables: "tenant_*.*", Topic: "tenants.{table}"},
		{Tables: "*.audit", Topic: "all.audit-{schema}.{table}"},
		{Tables: "plain.*", Topic: "{schema}.{table}"},
	}
	if err := routes.Validate(); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		schema, table string
		want          []string
	}{
		{"shop", "order_new", []string{"shop.orders", "shop.order_new"}},
		{"shop", "order_old", []string{"shop.orders", "shop.archive", "shop.order_old"}},
		{"shop", "product", []string{"shop.product"}},
		{"tenant_1", "a.b", []string{"tenants.a-x2E-b", "tenant_1.a-x2E-b"}},
		{"tenant_{table}", "audit", []string{"tenants.audit", "all.audit-tenant_-x7B-table-x7D-.audit", "tenant_-x7B-table-x7D-.audit"}},
		{"plain", "t", []string{"plain.t"}},
	} {
		got := routes.Topics(tt.schema, tt.table)
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("topics of %s.%s:\n%s", tt.schema, tt.table, diff)
		}
		if topic := routes.Topic(tt.schema, tt.table); topic != got[0] {
			t.Errorf("topic of %s.%s is %s, want the first of %v", tt.schema, tt.table, topic, got)
		}
	}
	if got := Routes(nil).Topics("shop", "product"); len(got) != 1 || got[0] != RowTopic("shop", "product") {
		t.Errorf("without routes: %v", got)
	}
}

func TestRoutesValidate(t *testing.T) {
	for _, tt := range []struct{ tables, topic, want string }{
		{"shop", "a.b", `pattern "shop"`},
		{"shop.*", "", "want letters"},
		{"shop.*", "watermark", "the log's own"},
		{"shop.*", "schema", "the log's own"},
		{"shop.*", "{table}", "the log's own"},
		{"shop.*", "shop.{column}", "want letters"},
		{"shop.*", "shop.ü", "want letters"},
		{"shop.*", "shop." + strings.Repeat("x", 250), "249"},
	} {
		err := Routes{{Tables: "a.b", Topic: "a.b"}, {Tables: tt.tables, Topic: tt.topic}}.Validate()
		if err == nil || !strings.Contains(err.Error(), "Routes[1]: ") || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("route %s to %q: got %v, want an error with %q", tt.tables, tt.topic, err, tt.want)
		}
	}
}

func ExampleRoutes() {
	routes := Routes{{Tables: "shop.order_*", Topic: "shop.orders"}}
	fmt.Println(routes.Validate())
	fmt.Println(routes.Topic("shop", "order_line"), routes.Topic("shop", "product"))
	fmt.Println(routes.Topics("shop", "order_line"))
	// Output:
	// <nil>
	// shop.orders shop.product
	// [shop.orders shop.order_line]
}
