package bulkload

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/millrace-go/millrace/internal/integration/elasticapi"
)

type elastic struct {
	elasticapi.Client
	index string
}

// Elastic loads an index by bulk requests. It is created with these settings where there is none.
func Elastic(ctx context.Context, url, index, settings string) (Loader, error) {
	e := &elastic{elasticapi.Client{URL: url, HTTP: &http.Client{Transport: &http.Transport{}}}, index}
	err := e.Call(ctx, http.MethodPut, "/"+index, `{"settings":`+settings+`}`, nil)
	if refused, ok := errors.AsType[*elasticapi.Error](err); ok && refused.Status == http.StatusBadRequest {
		err = e.Call(ctx, http.MethodGet, "/"+index, "", nil) // it is there already, or this says what is wrong
	}
	return e, err
}

func (e *elastic) Ready(ids []string, bodies [][]byte) (func(context.Context) error, error) {
	var text strings.Builder
	for i, id := range ids {
		fmt.Fprintf(&text, "{\"index\":{\"_id\":%q}}\n%s\n", id, bodies[i])
	}
	body := text.String()
	return func(ctx context.Context) error {
		var reply struct{ Errors bool }
		err := e.Call(ctx, http.MethodPost, "/"+e.index+"/_bulk", body, &reply)
		if err == nil && reply.Errors {
			err = errors.New("an item failed")
		}
		return err
	}, nil
}

func (e *elastic) Close() { e.HTTP.CloseIdleConnections() }
