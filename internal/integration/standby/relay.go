package standby

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net"
	"os"
	"sync"
	"time"

	"github.com/segmentio/kafka-go"

	"github.com/millrace-go/millrace/cdc"
	"github.com/millrace-go/millrace/cdc/binlog"
	"github.com/millrace-go/millrace/eventstore/kafkalog"
	"github.com/millrace-go/millrace/internal/integration/servers"
	"github.com/millrace-go/millrace/internal/integration/supervise"
)

// RelayChild is the first argument of the program when it is to be a relay's process, which calls [Child].
const RelayChild = "standby-relay"

// task is what a relay's process has to do.
type task struct {
	Name, Flavor, Addr, Broker, Pipeline string
	// Proxy is what stands between the relay and the broker.
	Proxy string
}

// event is a line that a relay's process prints.
type event struct {
	Standing *cdc.StandbyInfo `json:"standing,omitempty"`
	Leading  *cdc.LeadingInfo `json:"leading,omitempty"`
}

// Child is a relay's process, with default settings. It returns the exit code.
func Child() int {
	return supervise.Serve(func(ctx context.Context, line []byte) error {
		var t task
		if err := json.Unmarshal(line, &t); err != nil {
			return err
		}
		return t.relay(ctx)
	})
}

func (t task) relay(ctx context.Context) (err error) {
	logger := slog.New(slog.NewTextHandler(os.Stderr, nil)).With("relay", t.Name)
	source, err := binlog.New(binlog.Config{Addr: t.Addr, User: servers.CDCUser, Password: servers.CDCPassword, Flavor: t.Flavor,
		Filter: cdc.Filter{Include: []string{schema + ".*"}}, Logger: logger})
	if err != nil {
		return err
	}
	network := &kafka.Transport{MetadataTTL: 2 * time.Second, Dial: func(ctx context.Context, kind, _ string) (net.Conn, error) {
		return (&net.Dialer{Timeout: 5 * time.Second}).DialContext(ctx, kind, t.Proxy) // as the log's own, but for the way
	}}
	log, err := kafkalog.New(kafkalog.Config{Brokers: []string{t.Broker}, Pipeline: t.Pipeline, Transport: network, Logger: logger})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, log.Close()) }()
	var mu sync.Mutex
	out := json.NewEncoder(os.Stdout)
	say := func(e event) {
		mu.Lock()
		defer mu.Unlock()
		_ = out.Encode(e) // the supervisor may be gone
	}
	relay, err := cdc.NewRelay(cdc.Config{Source: source, Log: log, Standby: true, Name: t.Name, Logger: logger, Hooks: cdc.Hooks{
		Standby: func(i cdc.StandbyInfo) { say(event{Standing: &i}) },
		Leading: func(i cdc.LeadingInfo) { say(event{Leading: &i}) },
	}})
	if err != nil {
		return err
	}
	return relay.Run(ctx)
}
