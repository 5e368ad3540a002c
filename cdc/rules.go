package cdc

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"

	"github.com/millrace-go/millrace/eventstore"
	"github.com/millrace-go/millrace/internal/pattern"
)

// rules are what a relay decides about records: which rows are left out, and which topics they go to.
type rules struct {
	filters []RowFilter
	routes  eventstore.Routes
}

func (r *rules) validate() error {
	var errs []error
	names := map[string]bool{}
	for i := range r.filters {
		f := &r.filters[i]
		if err := f.validate(); err != nil {
			errs = append(errs, fmt.Errorf("RowFilters[%d]: %w", i, err))
		}
		if names[f.Name] {
			errs = append(errs, fmt.Errorf("RowFilters[%d]: the name %q occurs twice", i, f.Name))
		}
		names[f.Name] = true
	}
	return errors.Join(append(errs, r.routes.Validate())...)
}

// configID is the source's, with the rules; without rules it is the source's own.
func (r *rules) configID(source string) string {
	if len(r.filters) == 0 && len(r.routes) == 0 {
		return source
	}
	h := sha256.New()
	fmt.Fprintf(h, "relay %q\n", source)
	for i := range r.filters {
		fmt.Fprintf(h, "filter %q %q\n", r.filters[i].Tables, r.filters[i].Name)
	}
	for _, route := range r.routes {
		fmt.Fprintf(h, "route %q %q\n", route.Tables, route.Topic)
	}
	return hex.EncodeToString(h.Sum(nil)[:8])
}

// place is what the rules say of one table.
type place struct {
	topic   string
	filters []*RowFilter
}

func (r *rules) of(schema, table string) place {
	p := place{topic: r.routes.Topic(schema, table)}
	for i := range r.filters {
		if f := &r.filters[i]; pattern.Table(f.Tables, schema, table) {
			p.filters = append(p.filters, f)
		}
	}
	return p
}
