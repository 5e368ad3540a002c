package environ_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/millrace-go/millrace/internal/integration/environ"
	"github.com/millrace-go/millrace/internal/integration/servers"
)

type report struct{ rows int }

func (r *report) String() string { return fmt.Sprint("rows ", r.rows) }
func (r *report) Add(o *report)  { r.rows += o.rows }

func ExampleEach() {
	kinds := []servers.Kind{servers.MySQL, servers.MariaDB}
	reports, err := environ.Each(context.Background(), kinds, func(kind servers.Kind) (*report, error) { return &report{len(kind)}, nil })
	fmt.Println(environ.Total(reports), err)
	// Output:
	// mysql: rows 5
	// mariadb: rows 7
	// rows 12 <nil>
}

// A server whose check fails does not keep the next one from being checked, and one without a report does not count; the end of the context does.
func TestEachThatFails(t *testing.T) {
	kinds := []servers.Kind{servers.MySQL, servers.MariaDB}
	broken := errors.New("broken")
	check := func(kind servers.Kind) (*report, error) {
		if kind == servers.MySQL {
			return nil, broken
		}
		return &report{7}, nil
	}
	reports, err := environ.Each(t.Context(), kinds, check)
	if len(reports) != 1 || !errors.Is(err, broken) {
		t.Errorf("got %d reports, %v, want one, %v", len(reports), err, broken)
	}
	ended, end := context.WithCancel(t.Context())
	end()
	if reports, err := environ.Each(ended, kinds, check); len(reports) != 0 || !errors.Is(err, broken) {
		t.Errorf("interrupted: got %d reports, %v, want none, %v", len(reports), err, broken)
	}
}
