package environ

import (
	"context"
	"errors"
	"fmt"

	"github.com/millrace-go/millrace/internal/integration/servers"
)

// Each runs a check on one kind of server after the other, and prints the report of each; a check that comes to none returns nil. It returns the
// reports and all errors. The end of ctx, not an error, leaves out the servers that are left.
func Each[R interface {
	comparable
	fmt.Stringer
}](ctx context.Context, kinds []servers.Kind, check func(servers.Kind) (R, error)) (reports []R, err error) {
	for _, kind := range kinds {
		report, failed := check(kind)
		if none := *new(R); report != none {
			fmt.Printf("%s: %s\n", kind, report)
			reports = append(reports, report)
		}
		err = errors.Join(err, failed)
		if ctx.Err() != nil {
			break
		}
	}
	return reports, err
}

// Total adds up reports.
func Total[R any, P interface {
	*R
	Add(*R)
}](reports []P) P {
	total := P(new(R))
	for _, report := range reports {
		total.Add(report)
	}
	return total
}
