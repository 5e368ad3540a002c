package elastic

import (
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"github.com/elastic/elastic-transport-go/v8/elastictransport"

	"github.com/millrace-go/millrace/projector"
)

// Defaults of [Config].
const (
	DefaultBulkBytes     = 5 << 20
	DefaultTimeout       = 30 * time.Second
	DefaultProgressIndex = "millrace-progress"
)

// Config says how to reach Elasticsearch. Addresses is the only field that must be set.
type Config struct {
	// Addresses are the nodes' URLs, e.g. https://search-1:9200. Requests go to them in turn; one that cannot be reached is left
	// out for a while. User information in a URL is used for basic authentication.
	Addresses []string

	// Username and Password are for basic authentication.
	Username, Password string
	// APIKey is the base64 form of id:key. It excludes Username.
	APIKey string

	// TLS is used for https addresses; nil means the system's certificates. It must be nil when Transport is set.
	TLS *tls.Config
	// Transport replaces the HTTP transport. Nil means one of the sink's own.
	Transport http.RoundTripper

	// BulkBytes is the size up to which writes share a bulk request, before compression. A single larger document is a request of
	// its own. The cluster's http.max_content_length is respected in any case. Zero means DefaultBulkBytes.
	BulkBytes int
	// Compress sends bulk requests gzipped: less network for more CPU on both sides.
	Compress bool
	// Timeout bounds each request, reply included. Zero means DefaultTimeout.
	Timeout time.Duration

	// ProgressIndex is the alias of the index for progress records. Pipelines that share a cluster and have projectors of the same
	// name need one each. Empty means DefaultProgressIndex.
	ProgressIndex string

	// Logger hears of indexes that are created, generations that are published, and a cluster in a bad state. Nil means silence.
	Logger *slog.Logger
}

// Sink stores documents in Elasticsearch. It is safe for concurrent use. Close it to drop its idle connections.
type Sink struct {
	transport elastictransport.Interface
	idle      func() // closes idle connections
	cfg       Config
	log       *slog.Logger
	maxBytes  atomic.Int64 // the cluster's http.max_content_length; 0: not asked yet
}

var _ projector.Sink = (*Sink)(nil)

// New returns a sink. It reports everything that is wrong with the configuration in one error, and does not connect: use
// [Sink.Check] for that.
func New(cfg Config) (*Sink, error) {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf("elastic: config: "+format, args...)) }

	var urls []*url.URL
	for i, a := range cfg.Addresses {
		u, err := url.Parse(a)
		switch {
		case err != nil: // the error would repeat a password in the URL
			bad("Addresses[%d] is not a URL", i)
		case u.Scheme != "http" && u.Scheme != "https" || u.Host == "":
			bad("Addresses[%d] must look like http://host:port or https://host:port", i)
		default:
			u.Path = strings.TrimSuffix(u.Path, "/")
			urls = append(urls, u)
		}
	}
	if len(cfg.Addresses) == 0 {
		bad("Addresses is empty")
	}
	if cfg.APIKey != "" && cfg.Username != "" {
		bad("APIKey and Username exclude each other")
	}
	if cfg.Password != "" && cfg.Username == "" {
		bad("Password is set without Username")
	}
	if cfg.TLS != nil && cfg.Transport != nil {
		bad("TLS and Transport exclude each other: set the TLS configuration of the transport")
	}
	if cfg.BulkBytes < 0 {
		bad("BulkBytes is negative")
	}
	if cfg.Timeout < 0 {
		bad("Timeout is negative")
	}
	if cfg.BulkBytes == 0 {
		cfg.BulkBytes = DefaultBulkBytes
	}
	if cfg.Timeout == 0 {
		cfg.Timeout = DefaultTimeout
	}
	if cfg.ProgressIndex == "" {
		cfg.ProgressIndex = DefaultProgressIndex
	}
	if err := checkName(cfg.ProgressIndex); err != nil {
		bad("ProgressIndex: %w", err)
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}

	s := &Sink{cfg: cfg, log: cfg.Logger, idle: func() {}}
	rt := cfg.Transport
	if rt == nil {
		own := http.DefaultTransport.(*http.Transport).Clone()
		if cfg.TLS != nil {
			own.TLSClientConfig = cfg.TLS.Clone()
		}
		rt, s.idle = own, own.CloseIdleConnections
	}
	// No retries below: the runner retries, and what it hears must be what happened to this one request.
	opts := []elastictransport.Option{
		elastictransport.WithURLs(urls...), elastictransport.WithTransport(rt), elastictransport.WithDisableRetry(),
	}
	if cfg.Username != "" {
		opts = append(opts, elastictransport.WithBasicAuth(cfg.Username, cfg.Password))
	}
	if cfg.APIKey != "" {
		opts = append(opts, elastictransport.WithAPIKey(cfg.APIKey))
	}
	if cfg.Compress {
		opts = append(opts, elastictransport.WithCompression())
	}
	tp, err := elastictransport.NewClient(opts...)
	if err != nil {
		return nil, fmt.Errorf("elastic: %w", err)
	}
	s.transport = tp
	return s, nil
}

// Kind returns "elasticsearch".
func (s *Sink) Kind() string { return kind }

// Close drops idle connections. Requests under way go on.
func (s *Sink) Close() error {
	s.idle()
	return nil
}
