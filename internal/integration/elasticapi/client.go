// Package elasticapi makes plain requests of Elasticsearch: what a sink has written is looked at by another client than its own.
package elasticapi

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
)

// Client makes requests of one server. It is safe for concurrent use.
type Client struct {
	URL  string       // http://host:port
	HTTP *http.Client // nil: http.DefaultClient
}

// Error is a reply other than 2xx.
type Error struct {
	Method, Path string
	Status       int
	Text         string // the reply
}

func (e *Error) Error() string {
	return fmt.Sprintf("%s %s: HTTP status %d: %s", e.Method, e.Path, e.Status, e.Text)
}

// Call makes a request, and decodes the reply into out unless it is nil. A reply other than 2xx is an [*Error].
func (c Client) Call(ctx context.Context, method, path, body string, out any) error {
	req, err := http.NewRequestWithContext(ctx, method, c.URL+path, strings.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	client := c.HTTP
	if client == nil {
		client = http.DefaultClient
	}
	res, err := client.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		return err
	}
	if res.StatusCode > 299 {
		return &Error{method, path, res.StatusCode, string(text)}
	}
	if out == nil {
		return nil
	}
	return json.Unmarshal(text, out)
}
