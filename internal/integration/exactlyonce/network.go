package exactlyonce

import (
	"context"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/millrace-go/millrace/internal/integration/faults"
	"github.com/millrace-go/millrace/internal/integration/servers"
)

// lostReplies has the brokers append, and cuts the connections before they can say so.
func (r *run) lostReplies(ctx context.Context) error {
	leader, _ := r.pair()
	if err := r.halt(ctx, leader, "18 data before"); err != nil {
		return err
	}
	client, err := kgo.NewClient(kgo.SeedBrokers(r.brokers.Brokers()...))
	if err != nil {
		return err
	}
	defer client.Close()
	before, again := int64(-1), int64(-2)
	calm := func() bool { // the other partitions' parts of the flush have come
		before, again = again, r.dataEnd(ctx, client)
		return before == again
	}
	if err := r.poll(ctx, "nothing is appended", calm); err != nil {
		return err
	}
	leader.every((*faults.Proxy).Mute)
	if err := leader.goOn(); err != nil {
		return err
	}
	if err := r.poll(ctx, "something is appended", func() bool { return r.dataEnd(ctx, client) > before }); err != nil {
		return err
	}
	leader.every((*faults.Proxy).Cut)
	return nil
}

// dataEnd adds up the ends of the log's row topics; -1 when they cannot be had.
func (r *run) dataEnd(ctx context.Context, client *kgo.Client) (sum int64) {
	r.load.mu.Lock()
	var topics []string
	for name := range r.load.tables {
		topics = append(topics, r.pipeline+"."+schema+"."+name)
	}
	r.load.mu.Unlock()
	ends, err := kadm.NewClient(client).ListEndOffsets(ctx, topics...)
	if err != nil {
		return -1
	}
	ends.Each(func(o kadm.ListedOffset) { sum += max(o.Offset, 0) })
	return sum
}

// proxies are the networks of a place.
func (r *run) proxies(where string) (list []*faults.Proxy) {
	for _, m := range r.relays {
		switch where {
		case toDatabase:
			list = append(list, m.database)
		case toKafka:
			list = append(list, m.kafka...)
		}
	}
	if where == amongNodes {
		return r.brokers.proxies[servers.Replication]
	}
	return list
}

// spoil makes a network slower until heal.
func (r *run) spoil(t toxic) {
	for _, p := range r.proxies(t.where) {
		switch t.kind {
		case latency:
			p.Latency(time.Duration(t.amount) * time.Millisecond)
		case bandwidth:
			p.Bandwidth(t.amount << 10)
		}
	}
}

// heal makes all networks well.
func (r *run) heal() {
	for _, where := range []string{toKafka, toDatabase, amongNodes} {
		for _, p := range r.proxies(where) {
			p.Limit(0)
			p.Heal()
		}
	}
}

// network breaks connections for a while.
func (r *run) network(ctx context.Context, f fault) error {
	if err := r.busy(ctx); err != nil {
		return err
	}
	for n, p := range r.proxies(f.toxic.where) {
		switch f.toxic.kind {
		case halfOpen:
			p.Freeze()
		case cut:
			p.Cut()
		case refused:
			p.Refuse(true)
			p.Cut()
		case cutAfter:
			p.Limit(int64(100 + (n+1)*f.toxic.amount))
			p.Cut()
		}
	}
	return r.pass(ctx, time.Duration(f.toxic.amount)*time.Millisecond)
}
