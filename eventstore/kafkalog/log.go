package kafkalog

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/compress"

	"github.com/millrace-go/millrace/eventstore"
)

// Log is an [eventstore.Log] on Kafka. It is safe for concurrent use. It connects when it is first used.
type Log struct {
	cfg       Config
	client    *client
	codec     compress.Codec // nil for none
	log       *slog.Logger
	transport *kafka.Transport // its own, nil when one was given
	uptime    func() time.Duration

	life context.Context // until Close
	end  context.CancelFunc
}

var _ eventstore.Log = (*Log)(nil)

// metadataTTL is how long the layout of the cluster may be out of date: a topic that another process made is seen after it.
const metadataTTL = 2 * time.Second

// New checks the configuration and returns a log. All problems are in one error. Nothing is connected yet. Close it after use.
func New(cfg Config) (*Log, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	l := &Log{cfg: cfg, log: cfg.Logger.With("pipeline", cfg.Pipeline), uptime: newUptime()}
	l.life, l.end = context.WithCancel(context.Background())
	l.codec, _ = codecOf(cfg.Compression)
	transport := cfg.Transport
	if transport == nil {
		l.transport = &kafka.Transport{TLS: cfg.TLS, SASL: cfg.SASL, ClientID: "millrace-" + cfg.Pipeline, MetadataTTL: metadataTTL}
		if cfg.TLS == nil {
			l.transport.Dial = dial
		}
		transport = l.transport
	}
	l.client = &client{Client: kafka.Client{Addr: kafka.TCP(cfg.Brokers...), Transport: transport}, log: l.log}
	return l, nil
}

// Close ends every iteration over cuts with [eventstore.ErrClosed] and closes the log's own connections. Writers are closed by
// whoever began them.
func (l *Log) Close() error {
	if l.end != nil {
		l.end()
	}
	if l.transport != nil {
		l.transport.CloseIdleConnections()
	}
	return nil
}

// isClosed tells also of a Log that [New] has not made.
func (l *Log) isClosed() bool { return l.life == nil || l.life.Err() != nil }

// headTimeout bounds what Head waits for a leader that moves.
const headTimeout = 10 * time.Second

// Head implements [eventstore.Log]. It does not wait for a broker that cannot be reached: that is an error at once.
func (l *Log) Head(ctx context.Context) (eventstore.Watermark, bool, error) {
	none := eventstore.Watermark{}
	if l.isClosed() {
		return none, false, fmt.Errorf("head: %w", eventstore.ErrClosed)
	}
	limited, cancel := context.WithTimeout(ctx, headTimeout)
	defer cancel()
	_, ok, err := l.client.topic(limited, l.cfg.watermarkTopic())
	if err != nil || !ok {
		return none, false, l.ended(ctx, "head", err)
	}
	h, err := l.readHead(limited)
	if err != nil || h == nil {
		return none, false, l.ended(ctx, "head", err)
	}
	return h.mark.watermark(h.ends.byPartition()), true, nil
}

// ended names the step of an error and translates it; the end of the caller's context is left as it is.
func (l *Log) ended(ctx context.Context, step string, err error) error {
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return fmt.Errorf("%s: %w", step, errors.Join(ctx.Err(), err))
	}
	return fmt.Errorf("%s: %w", step, seamError(err))
}
