package bulkload

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
)

type elastic struct {
	url, index string
	client     *http.Client
}

// Elastic loads an index by bulk requests. It is created with these settings where there is none.
func Elastic(ctx context.Context, url, index, settings string) (Loader, error) {
	e := &elastic{url, index, &http.Client{Transport: &http.Transport{}}}
	err := e.call(ctx, http.MethodPut, "/"+index, []byte(`{"settings":`+settings+`}`), nil)
	if refused := (*refusal)(nil); errors.As(err, &refused) && refused.status == http.StatusBadRequest {
		err = e.call(ctx, http.MethodGet, "/"+index, nil, nil) // it is there already, or this says what is wrong
	}
	return e, err
}

func (e *elastic) Ready(ids []string, bodies [][]byte) (func(context.Context) error, error) {
	var body bytes.Buffer
	for i, id := range ids {
		fmt.Fprintf(&body, "{\"index\":{\"_id\":%q}}\n%s\n", id, bodies[i])
	}
	return func(ctx context.Context) error {
		var reply struct{ Errors bool }
		err := e.call(ctx, http.MethodPost, "/"+e.index+"/_bulk", body.Bytes(), &reply)
		if err == nil && reply.Errors {
			err = errors.New("an item failed")
		}
		return err
	}, nil
}

func (e *elastic) Close() { e.client.CloseIdleConnections() }

// refusal is a reply other than 2xx.
type refusal struct {
	status int
	text   string
}

func (r *refusal) Error() string { return fmt.Sprintf("status %d: %s", r.status, r.text) }

func (e *elastic) call(ctx context.Context, method, path string, body []byte, out any) error {
	req, err := http.NewRequestWithContext(ctx, method, e.url+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	res, err := e.client.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		return err
	}
	if res.StatusCode > 299 {
		return &refusal{res.StatusCode, string(text)}
	}
	if out == nil {
		return nil
	}
	return json.Unmarshal(text, out)
}
