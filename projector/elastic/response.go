package elastic

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/elastic/go-elasticsearch/v8/esapi"

	"github.com/millrace-go/millrace/projector"
)

// maxReason bounds how much of Elasticsearch's explanation goes into an error.
const maxReason = 300

// A responseError is a reply other than 2xx that will not pass by itself.
type responseError struct {
	step   string
	status int
	typ    string // e.g. index_not_found_exception; empty when the reply was not Elasticsearch's
	reason string
}

func (e *responseError) Error() string {
	hint := ""
	switch e.status {
	case http.StatusUnauthorized:
		hint = ": the user name, password or API key is wrong or expired"
	case http.StatusForbidden:
		if e.typ == "security_exception" {
			hint = ": the account lacks a privilege"
		}
	}
	text := fmt.Sprintf("elastic: %s: status %d%s", e.step, e.status, hint)
	if e.typ != "" {
		text += ": " + e.typ
	}
	if e.reason != "" {
		text += ": " + e.reason
	}
	return text
}

// isType says whether err is a reply with that error type.
func isType(err error, typ string) bool {
	e, ok := errors.AsType[*responseError](err)
	return ok && e.typ == typ
}

func isStatus(err error, status int) bool {
	e, ok := errors.AsType[*responseError](err)
	return ok && e.status == status
}

// do performs a request and decodes its reply into out, unless that is nil. The requests whose replies can hold document text (bulk)
// are not refused as a whole with that text in the reason, so it goes into the error.
func (s *Sink) do(ctx context.Context, step string, req esapi.Request, out any) error {
	_, err := s.doHeader(ctx, step, req, out)
	return err
}

func (s *Sink) doHeader(ctx context.Context, step string, req esapi.Request, out any) (http.Header, error) {
	bounded, cancel := context.WithTimeoutCause(ctx, s.cfg.Timeout, fmt.Errorf("no reply within %v", s.cfg.Timeout))
	defer cancel()
	res, err := req.Do(bounded, s.transport)
	if err != nil {
		return nil, requestError(ctx, bounded, step, err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		return nil, requestError(ctx, bounded, step+": reply cut", err)
	}
	if res.StatusCode < 200 || res.StatusCode > 299 {
		return nil, statusError(step, res.StatusCode, body)
	}
	if out == nil {
		return res.Header, nil
	}
	if err := json.Unmarshal(body, out); err != nil {
		return nil, fmt.Errorf("elastic: %s: the reply is cut or not JSON: %w", step, projector.ErrUnavailable)
	}
	return res.Header, nil
}

// requestError is for a request that got no whole reply: nothing is known of its effect. It passes, unless the caller gave up or the
// certificates do not fit.
func requestError(caller, bounded context.Context, step string, err error) error {
	if caller.Err() != nil {
		return fmt.Errorf("elastic: %s: %w", step, context.Cause(caller))
	}
	if bounded.Err() != nil {
		err = context.Cause(bounded)
	}
	if _, ok := errors.AsType[x509.UnknownAuthorityError](err); ok {
		return fmt.Errorf("elastic: %s: %w: add the cluster's certificate authority to Config.TLS.RootCAs", step, err)
	}
	if _, ok := errors.AsType[x509.HostnameError](err); ok {
		return fmt.Errorf("elastic: %s: %w: use an address that the certificate names, or set Config.TLS.ServerName", step, err)
	}
	return fmt.Errorf("elastic: %s: %w: %w", step, projector.ErrUnavailable, err)
}

func statusError(step string, status int, body []byte) error {
	e := &responseError{step: step, status: status}
	var reply struct {
		Error json.RawMessage `json:"error"`
	}
	if json.Unmarshal(body, &reply) == nil {
		var detail struct{ Type, Reason string }
		if json.Unmarshal(reply.Error, &detail) == nil {
			e.typ, e.reason = detail.Type, shorten(detail.Reason)
		} else if json.Unmarshal(reply.Error, &detail.Reason) == nil {
			e.reason = shorten(detail.Reason)
		}
	}
	if status == http.StatusTooManyRequests || status == http.StatusRequestTimeout || status >= 500 {
		return fmt.Errorf("%w: %w", e, projector.ErrUnavailable)
	}
	return e
}

func shorten(reason string) string {
	reason = strings.Join(strings.Fields(reason), " ")
	if len(reason) > maxReason {
		reason = strings.ToValidUTF8(reason[:maxReason], "") + "…"
	}
	return reason
}
