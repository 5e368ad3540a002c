package servers

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

const (
	kafkaVersion = "4.1.0"
	// kafkaCluster is any id: 16 bytes in base64. One id for all is as good as many.
	kafkaCluster = "bWlsbHJhY2UtdGVzdHMtMQ"
)

// kafka is one Kafka process, broker and controller together, from its Maven artifacts. node is nil for one that is alone.
type kafka struct{ node *clusterNode }

func (kafka) install(ctx context.Context, in *installer) (programs, error) {
	dir, err := in.once(ctx, "kafka-"+kafkaVersion, func(dir string) error {
		lib := filepath.Join(dir, "lib")
		err := in.mavenCopy(ctx, lib,
			mavenArtifact{group: "org.apache.kafka", name: "kafka_2.13", version: kafkaVersion},
			mavenArtifact{group: "org.apache.kafka", name: "kafka-tools", version: kafkaVersion},
			mavenArtifact{group: "org.slf4j", name: "slf4j-simple", version: "1.7.36"})
		if err != nil {
			return err
		}
		return verifyDir(lib, kafkaSums)
	})
	if err != nil {
		return programs{}, err
	}
	err = in.needPrograms(ctx, []string{"java"}, "default-jre-headless") // it may have gone since
	return programs{home: dir, server: lookPath("java"), version: "Kafka " + kafkaVersion}, err
}

func (k kafka) settings(s *Server) string { return filepath.Join(s.dir, "server.properties") }

func (k kafka) jars(s *Server) string { return filepath.Join(s.prog.home, "lib", "*") }

func (k kafka) format(ctx context.Context, s *Server) error {
	if k.node != nil {
		if err := k.node.write(k.settings(s), s); err != nil {
			return err
		}
		return run(ctx, s.data(), s.prog.server, k.formatArgs(s)...)
	}
	controller := s.port + 1
	if !portFree(controller) {
		var err error
		if controller, err = freePort(); err != nil {
			return err
		}
	}
	// The controller's address is part of the data: it stays as it is for the server's life.
	if err := os.WriteFile(filepath.Join(s.dir, "controller"), fmt.Append(nil, controller), 0o644); err != nil {
		return err
	}
	if err := k.write(s); err != nil {
		return err
	}
	return run(ctx, s.data(), s.prog.server, append(k.formatArgs(s), "--standalone")...)
}

func (k kafka) formatArgs(s *Server) []string {
	return []string{"-Xmx128m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-cp", k.jars(s), "kafka.tools.StorageTool", "format",
		"-t", kafkaCluster, "-c", k.settings(s)}
}

// write makes the settings file.
func (k kafka) write(s *Server) error {
	controller, err := os.ReadFile(filepath.Join(s.dir, "controller"))
	if err != nil {
		return err
	}
	lines := []string{
		"process.roles=broker,controller",
		"node.id=1",
		fmt.Sprintf("controller.quorum.bootstrap.servers=127.0.0.1:%s", controller),
		fmt.Sprintf("listeners=PLAINTEXT://127.0.0.1:%d,CONTROLLER://127.0.0.1:%s", s.port, controller),
		fmt.Sprintf("advertised.listeners=PLAINTEXT://127.0.0.1:%d,CONTROLLER://127.0.0.1:%s", s.port, controller),
		"controller.listener.names=CONTROLLER",
		"listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT",
		"log.dirs=" + s.data(),
		// One node: every inner topic has one copy, and few partitions so that it is up at once.
		"offsets.topic.replication.factor=1",
		"offsets.topic.num.partitions=4",
		"transaction.state.log.replication.factor=1",
		"transaction.state.log.min.isr=1",
		"transaction.state.log.num.partitions=4",
		"share.coordinator.state.topic.replication.factor=1",
		"share.coordinator.state.topic.min.isr=1",
		"group.initial.rebalance.delay.ms=0",
		// A mistyped topic is an error.
		"auto.create.topics.enable=false",
	}
	lines = append(lines, s.opts.Args...)
	return os.WriteFile(k.settings(s), []byte(strings.Join(lines, "\n")+"\n"), 0o644)
}

func (k kafka) command(s *Server, _ bool) (*exec.Cmd, error) {
	if k.node != nil {
		heap := cmp.Or(s.opts.Heap, "256m")
		return exec.Command(s.prog.server, "-Xms96m", "-Xmx"+heap, "-XX:+UseSerialGC", "-XX:MaxDirectMemorySize=512m", "-cp", k.jars(s), "kafka.Kafka", k.settings(s)),
			k.node.write(k.settings(s), s)
	}
	if err := k.write(s); err != nil {
		return nil, err
	}
	heap := cmp.Or(s.opts.Heap, "512m")
	// Each of the broker's threads keeps the largest buffer it ever sent or read, outside the heap: records of 170 MB need more room there than
	// the heap's size, which is the default.
	return exec.Command(s.prog.server, "-Xms256m", "-Xmx"+heap, "-XX:+UseG1GC", "-XX:MaxDirectMemorySize=6g", "-cp", k.jars(s), "kafka.Kafka", k.settings(s)), nil
}

func (kafka) setup(context.Context, *Server) error { return nil }

// ping asks for the metadata, and for the broker itself in them.
func (kafka) ping(ctx context.Context, a Address) error {
	// A dialled connection costs less than a client that fails.
	conn, err := (&net.Dialer{Timeout: time.Second}).DialContext(ctx, "tcp", a.Value)
	if err != nil {
		return err
	}
	conn.Close()
	client, err := kgo.NewClient(kgo.SeedBrokers(a.Value))
	if err != nil {
		return err
	}
	defer client.Close()
	m, err := kmsg.NewPtrMetadataRequest().RequestWith(ctx, client)
	if err != nil {
		return err
	}
	if len(m.Brokers) == 0 {
		return errors.New("the broker has not joined its cluster yet")
	}
	return nil
}
