package kafkalog

import (
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kadm"

	"github.com/millrace-go/millrace/eventstore"
	"github.com/millrace-go/millrace/internal/integration/servers"
)

// Three brokers of which too few are in sync, whose disks become full one after the other: the writer waits, says why, and goes on when it can. A reader sees
// every record once.
func TestThreeBrokers(t *testing.T) {
	t.Attr("server", string(servers.Kafka))
	const n = 6
	ctx := t.Context()
	cluster, err := servers.StartCluster(ctx, servers.ClusterOptions{Logf: t.Logf})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := cluster.Close(); err != nil {
			t.Error(err)
		}
	})
	cfg := config(t, cluster.Brokers(), pipeline())
	cfg.AcceptLoss = false
	fewInSync := make(chan struct{})
	var once sync.Once
	cfg.Logger = onWarn("fewer brokers are in sync", func() { once.Do(func() { close(fewInSync) }) })
	log := open(t, cfg)

	restarts := make(chan error, 3)
	restart := func(node int, when <-chan struct{}) {
		go func() {
			select {
			case <-when:
				restarts <- cluster.Nodes[node].Restart(ctx)
			case <-ctx.Done():
				restarts <- ctx.Err()
			}
		}()
	}
	_, adm := admin(t, cluster.Brokers())
	demand := func(inSync string) error {
		_, err := adm.AlterTopicConfigs(ctx, []kadm.AlterConfig{{Op: kadm.SetConfig, Name: "min.insync.replicas", Value: &inSync}}, cfg.Pipeline+".shop.stock")
		return err
	}
	before := map[eventstore.CSN]func() error{
		2: func() error { // all three copies are wanted, and one is missing
			restart(0, fewInSync)
			return errors.Join(demand("3"), cluster.Nodes[0].Kill())
		},
		4: func() error {
			return errors.Join(<-restarts, demand("2"), cluster.Nodes[1].FillDisk())
		},
		5: func() error { // with a second one, neither copies nor controllers are enough
			<-cluster.Nodes[1].Ended()
			restart(1, cluster.Nodes[2].Ended())
			restart(2, cluster.Nodes[2].Ended())
			return cluster.Nodes[2].FillDisk()
		},
	}

	var txns []*eventstore.Flush
	var want []string
	for csn := eventstore.CSN(1); csn <= n; csn++ {
		f := &eventstore.Flush{}
		f.Stamp.Add(csn, fmt.Sprintf("0-1-%d", csn))
		for i := range uint64(20) {
			r := noise(csn, i, 100)
			r.Key = fmt.Appendf(nil, "%d", i)
			f.Records = append(f.Records, r)
			want = append(want, line(&r))
		}
		txns = append(txns, f)
	}
	w := begin(t, log)
	for csn := eventstore.CSN(0); csn <= n; {
		if do := before[csn]; do != nil {
			delete(before, csn)
			if err := do(); err != nil {
				t.Fatal(err)
			}
		}
		switch err := step(t, w, csn, txns); {
		case err == nil:
			csn++
		case errors.Is(err, eventstore.ErrUnavailable): // it took too long
			w.Close()
			w = begin(t, log)
			csn = w.Start().Watermark.CSN + 1
		default:
			t.Fatal(err)
		}
	}
	for range 2 {
		if err := <-restarts; err != nil {
			t.Error(err)
		}
	}
	if diff := cmp.Diff(want, readLines(t, log, n)); diff != "" {
		t.Errorf("records (-want +got):\n%s", diff)
	}
}
