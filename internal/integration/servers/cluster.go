package servers

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// ClusterNodes is how many nodes a [Cluster] has.
const ClusterNodes = 3

// Replication is the listener by which the nodes of a cluster speak to one another: replicas fetch by it, and the markers of transactions come.
const Replication = "REPLICATION"

// direct is the listener of whoever wants to reach a node whatever is done to the other listeners.
const direct = "DIRECT"

// ClusterOptions say how to start a [Cluster].
type ClusterOptions struct {
	// Listeners names further listeners of each node, in upper case. A client that comes by one of them learns the nodes' addresses on that
	// listener, and uses no others.
	Listeners []string
	// Advertise is asked, before a node starts, under which address the others are to find one of its listeners, Replication among them, that
	// is at addr: that of a proxy, for instance. Nodes count from 0. Nil: addr itself.
	Advertise func(listener string, node int, addr string) (string, error)
	// Heap is the largest heap of each node's Java machine; empty means "256m".
	Heap string
	// Args are lines `key=value` for every node's server.properties. Where one is given twice, the last holds.
	Args []string
	// Logf hears about installations and other slow steps; nil means silence.
	Logf func(format string, args ...any)
}

// A Cluster is three Kafka processes, each broker and controller, that this process started and that end with it. Every topic has three copies
// unless it asks for fewer, and a write needs two of them in sync. A node that is killed or stopped loses its place after four seconds.
type Cluster struct {
	// Nodes can be killed, stopped, restarted, paused and continued each for itself.
	Nodes []*Server

	byListener map[string][]string // advertised addresses
}

// clusterNode is what one node of a cluster knows of all.
type clusterNode struct {
	id         int    // from 1
	voters     string // of the controllers' quorum
	controller int
	listeners  []clusterListener
}

type clusterListener struct {
	name, addr, advertised string
}

// StartCluster installs Kafka if need be, starts the nodes on 127.0.0.1, and returns when each sees all of them. The context bounds the start only.
func StartCluster(ctx context.Context, opts ClusterOptions) (*Cluster, error) {
	c := &Cluster{Nodes: make([]*Server, ClusterNodes), byListener: map[string][]string{}}
	nodes, ports, err := c.plan(opts)
	if err != nil {
		return nil, fmt.Errorf("kafka cluster: %w", err)
	}
	errs := make([]error, ClusterNodes)
	var group sync.WaitGroup
	for i, node := range nodes {
		group.Go(func() {
			c.Nodes[i], errs[i] = startDriver(ctx, Kafka, kafka{node}, Options{Port: ports[i], Heap: opts.Heap, Args: opts.Args, Logf: opts.Logf}, nil)
		})
	}
	group.Wait()
	err = errors.Join(errs...)
	if err == nil {
		err = c.Await(ctx, ClusterNodes)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("kafka cluster: %w", err), c.Close())
	}
	return c, nil
}

// plan chooses ports and asks for the advertised addresses.
func (c *Cluster) plan(opts ClusterOptions) (nodes []*clusterNode, ports []int, err error) {
	taken := map[int]bool{}
	port := func() (n int) {
		for err == nil && (n == 0 || taken[n]) {
			n, err = freePort()
		}
		taken[n] = true
		return n
	}
	var voters []string
	for i := range ClusterNodes {
		node := &clusterNode{id: i + 1, controller: port()}
		voters = append(voters, fmt.Sprintf("%d@127.0.0.1:%d", node.id, node.controller))
		ports = append(ports, port())
		addr := fmt.Sprintf("127.0.0.1:%d", ports[i])
		node.listeners = []clusterListener{{direct, addr, addr}}
		for _, name := range append([]string{Replication}, opts.Listeners...) {
			addr := fmt.Sprintf("127.0.0.1:%d", port())
			advertised := addr
			if opts.Advertise != nil && err == nil {
				advertised, err = opts.Advertise(name, i, addr)
			}
			node.listeners = append(node.listeners, clusterListener{name, addr, advertised})
		}
		for _, l := range node.listeners {
			c.byListener[l.name] = append(c.byListener[l.name], l.advertised)
		}
		nodes = append(nodes, node)
	}
	for _, node := range nodes {
		node.voters = strings.Join(voters, ",")
	}
	return nodes, ports, err
}

// Brokers are the nodes' addresses that no proxy stands before.
func (c *Cluster) Brokers() []string { return c.byListener[direct] }

// By returns the nodes' advertised addresses on a listener of ClusterOptions.Listeners.
func (c *Cluster) By(listener string) []string { return c.byListener[listener] }

// Await waits until every node that runs sees at least so many nodes, itself included.
func (c *Cluster) Await(ctx context.Context, nodes int) error {
	for _, s := range c.Nodes {
		if s == nil || !s.process().alive() {
			continue
		}
		waiting, cancel := context.WithTimeout(ctx, time.Minute)
		err := await(waiting, s.Ended(), func(ctx context.Context) error {
			seen, err := members(ctx, s.Address().Value)
			if err == nil && seen < nodes {
				err = fmt.Errorf("%v sees %d nodes, want %d", s.Address(), seen, nodes)
			}
			return err
		})
		cancel()
		if err != nil {
			return err
		}
	}
	return nil
}

// members asks a node how many nodes are there.
func members(ctx context.Context, addr string) (int, error) {
	client, err := kgo.NewClient(kgo.SeedBrokers(addr))
	if err != nil {
		return 0, err
	}
	defer client.Close()
	m, err := kmsg.NewPtrMetadataRequest().RequestWith(ctx, client)
	if err != nil {
		return 0, err
	}
	return len(m.Brokers), nil
}

// Close kills the nodes and removes their folders.
func (c *Cluster) Close() error {
	var errs []error
	for _, s := range c.Nodes {
		if s != nil {
			errs = append(errs, s.Close())
		}
	}
	return errors.Join(errs...)
}

// write makes the settings file of a node.
func (n *clusterNode) write(file string, s *Server) error {
	var listeners, advertised, protocols []string
	for _, l := range n.listeners {
		listeners = append(listeners, l.name+"://"+l.addr)
		advertised = append(advertised, l.name+"://"+l.advertised)
		protocols = append(protocols, l.name+":PLAINTEXT")
	}
	lines := []string{
		"process.roles=broker,controller",
		fmt.Sprintf("node.id=%d", n.id),
		"controller.quorum.voters=" + n.voters,
		fmt.Sprintf("listeners=%s,CONTROLLER://127.0.0.1:%d", strings.Join(listeners, ","), n.controller),
		"advertised.listeners=" + strings.Join(advertised, ","),
		"controller.listener.names=CONTROLLER",
		"inter.broker.listener.name=" + Replication,
		"listener.security.protocol.map=CONTROLLER:PLAINTEXT," + strings.Join(protocols, ","),
		"log.dirs=" + s.data(),
		"default.replication.factor=3",
		"min.insync.replicas=2",
		"offsets.topic.replication.factor=3",
		"offsets.topic.num.partitions=3",
		"transaction.state.log.replication.factor=3",
		"transaction.state.log.min.isr=2",
		"transaction.state.log.num.partitions=6",
		"share.coordinator.state.topic.replication.factor=3",
		"share.coordinator.state.topic.min.isr=2",
		"group.initial.rebalance.delay.ms=0",
		"auto.create.topics.enable=false",
		// A node that is gone is replaced soon. The defaults (9 s, 30 s) would only make checks longer.
		"broker.session.timeout.ms=4000",
		"broker.heartbeat.interval.ms=500",
		"replica.lag.time.max.ms=6000",
		"controlled.shutdown.max.retries=1",
		// 128 MiB by default, half of the heap: a node that came back to many partitions ran out of it.
		"log.cleaner.dedupe.buffer.size=4194304",
	}
	lines = append(lines, s.opts.Args...)
	return os.WriteFile(file, []byte(strings.Join(lines, "\n")+"\n"), 0o644)
}
