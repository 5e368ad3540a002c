package docker

import (
	"context"
	"fmt"
	"net"
	"time"

	"github.com/moby/moby/api/types/network"
	"github.com/testcontainers/testcontainers-go"
	"github.com/testcontainers/testcontainers-go/modules/mariadb"
	"github.com/testcontainers/testcontainers-go/modules/mongodb"
	"github.com/testcontainers/testcontainers-go/modules/mysql"
	"github.com/testcontainers/testcontainers-go/wait"

	"github.com/millrace-go/millrace/internal/integration/servers"
)

// startTime is the longest wait for a server to answer in its container.
const startTime = 2 * time.Minute

// A runner runs a container from an image and returns the address as servers.Address holds it.
type runner func(ctx context.Context, image string, opts ...testcontainers.ContainerCustomizer) (string, error)

var runners = map[servers.Kind]runner{
	servers.MariaDB:       runMariaDB,
	servers.MySQL:         runMySQL,
	servers.Kafka:         runKafka,
	servers.Elasticsearch: runElasticsearch,
	servers.MongoDB:       runMongoDB,
}

// binlogArgs are what the native servers get, too.
var binlogArgs = []string{"--server-id=1", "--log-bin=binlog", "--binlog-format=ROW", "--binlog-row-image=FULL", "--binlog-row-metadata=FULL",
	"--sync-binlog=1", "--innodb-flush-log-at-trx-commit=1", "--character-set-server=utf8mb4", "--max-allowed-packet=64M", "--skip-name-resolve"}

func runMariaDB(ctx context.Context, image string, opts ...testcontainers.ContainerCustomizer) (string, error) {
	args := append([]string{"--gtid-strict-mode=1"}, binlogArgs...)
	c, err := mariadb.Run(ctx, image, append(opts, mariadb.WithUsername("root"), mariadb.WithPassword(""), testcontainers.WithCmd(args...), answers())...)
	if err != nil {
		return "", err
	}
	return root(c.PortEndpoint(ctx, "3306/tcp", ""))
}

func runMySQL(ctx context.Context, image string, opts ...testcontainers.ContainerCustomizer) (string, error) {
	args := append([]string{"--gtid-mode=ON", "--enforce-gtid-consistency=ON"}, binlogArgs...)
	c, err := mysql.Run(ctx, image, append(opts, mysql.WithUsername("root"), mysql.WithPassword(""), testcontainers.WithCmd(args...), answers())...)
	if err != nil {
		return "", err
	}
	return root(c.PortEndpoint(ctx, "3306/tcp", ""))
}

func root(hostPort string, err error) (string, error) { return "root@tcp(" + hostPort + ")/", err }

// answers waits until the server answers on its port. The modules wait for a line of the log, which only their vendors' builds print.
func answers() testcontainers.CustomizeRequestOption {
	return testcontainers.WithWaitStrategyAndDeadline(startTime, wait.ForSQL("3306/tcp", "mysql", func(host string, port network.Port) string {
		dsn, _ := root(net.JoinHostPort(host, port.Port()), nil)
		return dsn
	}))
}

// kafkaStart waits in the container for the script that says under which address clients reach the broker: the port is known only when the
// container runs. testcontainers' own Kafka module does the same, for another vendor's image.
const kafkaStart = "/tmp/millrace-start.sh"

func runKafka(ctx context.Context, image string, opts ...testcontainers.ContainerCustomizer) (string, error) {
	start := func(ctx context.Context, c testcontainers.Container) error {
		if err := wait.ForMappedPort("9092/tcp").WaitUntilReady(ctx, c); err != nil {
			return err
		}
		endpoint, err := c.PortEndpoint(ctx, "9092/tcp", "PLAINTEXT")
		if err != nil {
			return err
		}
		script := fmt.Sprintf("#!/bin/sh\nexport KAFKA_ADVERTISED_LISTENERS=%s\nexec /etc/kafka/docker/run\n", endpoint)
		return c.CopyToContainer(ctx, []byte(script), kafkaStart, 0o755)
	}
	c, err := testcontainers.Run(ctx, image, append(opts,
		testcontainers.WithExposedPorts("9092/tcp"),
		testcontainers.WithEntrypoint("sh", "-c", "while [ ! -x "+kafkaStart+" ]; do sleep 0.1; done; exec "+kafkaStart),
		testcontainers.WithEnv(map[string]string{
			"KAFKA_NODE_ID":                                          "1",
			"KAFKA_PROCESS_ROLES":                                    "broker,controller",
			"KAFKA_LISTENERS":                                        "PLAINTEXT://:9092,CONTROLLER://:9093",
			"KAFKA_CONTROLLER_LISTENER_NAMES":                        "CONTROLLER",
			"KAFKA_LISTENER_SECURITY_PROTOCOL_MAP":                   "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT",
			"KAFKA_CONTROLLER_QUORUM_VOTERS":                         "1@localhost:9093",
			"KAFKA_OFFSETS_TOPIC_REPLICATION_FACTOR":                 "1",
			"KAFKA_TRANSACTION_STATE_LOG_REPLICATION_FACTOR":         "1",
			"KAFKA_TRANSACTION_STATE_LOG_MIN_ISR":                    "1",
			"KAFKA_SHARE_COORDINATOR_STATE_TOPIC_REPLICATION_FACTOR": "1",
			"KAFKA_SHARE_COORDINATOR_STATE_TOPIC_MIN_ISR":            "1",
			"KAFKA_GROUP_INITIAL_REBALANCE_DELAY_MS":                 "0",
			"KAFKA_AUTO_CREATE_TOPICS_ENABLE":                        "false",
		}),
		testcontainers.WithLifecycleHooks(testcontainers.ContainerLifecycleHooks{PostStarts: []testcontainers.ContainerHook{
			start, func(ctx context.Context, c testcontainers.Container) error {
				return wait.ForLog(".*Transitioning from RECOVERY to RUNNING.*").AsRegexp().WaitUntilReady(ctx, c)
			},
		}}))...)
	if err != nil {
		return "", err
	}
	return c.PortEndpoint(ctx, "9092/tcp", "")
}

// runElasticsearch does without testcontainers' module, which takes 2 GB of memory and waits for an answer that a server without its
// optional modules never gives.
func runElasticsearch(ctx context.Context, image string, opts ...testcontainers.ContainerCustomizer) (string, error) {
	c, err := testcontainers.Run(ctx, image, append(opts,
		testcontainers.WithExposedPorts("9200/tcp"),
		testcontainers.WithEnv(map[string]string{
			"discovery.type":         "single-node",
			"xpack.security.enabled": "false",
			"ES_JAVA_OPTS":           "-Xms512m -Xmx512m",
			"cluster.routing.allocation.disk.threshold_enabled": "false",
		}),
		testcontainers.WithWaitStrategyAndDeadline(startTime, wait.ForHTTP("/_cluster/health?wait_for_status=yellow&timeout=1s").WithPort("9200/tcp")))...)
	if err != nil {
		return "", err
	}
	return c.PortEndpoint(ctx, "9200/tcp", "http")
}

func runMongoDB(ctx context.Context, image string, opts ...testcontainers.ContainerCustomizer) (string, error) {
	c, err := mongodb.Run(ctx, image, append(opts, mongodb.WithReplicaSet("rs0"))...)
	if err != nil {
		return "", err
	}
	// The replica set knows its member by the container's own address, which not every machine reaches.
	address, err := c.PortEndpoint(ctx, "27017/tcp", "mongodb")
	return address + "/?directConnection=true", err
}
