package demo

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"

	"github.com/millrace-go/millrace/examples/bmart/home"
	"github.com/millrace-go/millrace/examples/bmart/sinkfront"
	"github.com/millrace-go/millrace/internal/integration/servers"
	"github.com/millrace-go/millrace/projector"
	"github.com/millrace-go/millrace/projector/elastic"
	"github.com/millrace-go/millrace/projector/mongodb"
)

// The kinds of sinks, as SINK names them.
const (
	sinkMemory  = "memory"
	sinkElastic = "elastic"
	sinkMongoDB = "mongodb"
)

// sinkSpec says where the sink is, to whichever process.
type sinkSpec struct {
	Kind    string `json:"kind"`
	Address string `json:"address"`
}

// openSink is a connected sink.
type openSink struct {
	projector.Sink
	close func()
}

func (s sinkSpec) open(logger *slog.Logger) (*openSink, error) {
	switch s.Kind {
	case sinkElastic:
		sink, err := elastic.New(elastic.Config{Addresses: []string{s.Address}, Logger: logger})
		if err != nil {
			return nil, err
		}
		return &openSink{sink, func() { _ = sink.Close() }}, nil // nothing is on its way any more
	case sinkMongoDB:
		sink, err := mongodb.New(mongodb.Config{URI: s.Address, Database: pipeline})
		if err != nil {
			return nil, err
		}
		return &openSink{sink, func() { _ = sink.Close() }}, nil
	default:
		return &openSink{sinkfront.NewClient(s.Address, projector.MemoryKind), func() {}}, nil
	}
}

// target is where a read model is kept in this kind of sink.
func (s sinkSpec) target(name string) projector.Target {
	switch s.Kind {
	case sinkElastic:
		mapping := `{"dynamic": false, "properties": {"name": {"type": "text"}, "category": {"type": "long"}, "price": {"type": "keyword"}}}`
		if name == home.Name {
			mapping = `{"dynamic": false, "properties": {"title": {"type": "text"}}}`
		}
		return elastic.Index(name, elastic.Mapping(mapping), elastic.Settings(`{"number_of_shards": 1, "number_of_replicas": 0}`))
	case sinkMongoDB:
		return mongodb.Collection(name)
	default:
		return projector.MemoryTarget(name)
	}
}

// startSink starts the sink and returns where it is, and how readers read it.
func (s *supervisor) startSink(ctx context.Context) (sinkSpec, reader, error) {
	kind := map[string]servers.Kind{sinkElastic: servers.Elasticsearch, sinkMongoDB: servers.MongoDB}[s.cfg.Sink]
	if s.cfg.Sink == sinkMemory {
		memory := projector.NewMemorySink()
		url, err := s.serve(ctx, "127.0.0.1:0", sinkfront.Handler(memory))
		if err != nil {
			return sinkSpec{}, nil, err
		}
		s.say("sink: in memory")
		return sinkSpec{sinkMemory, url}, memoryReader{memory}, nil
	}
	server, err := servers.Start(ctx, kind, servers.Options{Logf: s.logf})
	if err != nil {
		return sinkSpec{}, nil, err
	}
	s.atEnd(server.Close)
	s.say("sink: %s", server.Version())
	spec := sinkSpec{s.cfg.Sink, server.Address().Value}
	if kind == servers.Elasticsearch {
		return spec, elasticReader{spec.Address}, nil
	}
	r, err := newMongoReader(spec.Address)
	if err != nil {
		return sinkSpec{}, nil, err
	}
	s.atEnd(r.close)
	return spec, r, nil
}

// serve serves a handler until the end.
func (s *supervisor) serve(ctx context.Context, addr string, h http.Handler) (url string, err error) {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", addr)
	if err != nil {
		return "", fmt.Errorf("listen: %w", err)
	}
	server := &http.Server{Handler: h}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = server.Serve(l) // always ErrServerClosed
	}()
	s.atEnd(func() error {
		err := server.Close()
		<-ended
		return err
	})
	return "http://" + l.Addr().String(), nil
}
