// Package docker gives servers in containers to package servers: import it for its side effect,
//
//	import _ "github.com/millrace-go/millrace/internal/integration/servers/docker"
//
// and servers.Find and servers.Locate use Docker when a daemon answers that has the server's image, or gets it within two minutes.
// Otherwise they go on to the native servers. It is a package of its own because testcontainers is large: the demo does without.
//
// The images are the official ones; MILLRACE_KIND_IMAGE names another. The test processes of one `go test` share a container. testcontainers'
// reaper removes it after them; where the reaper's image cannot be had, or with TESTCONTAINERS_RYUK_DISABLED=true, it stays for the next ones,
// until `docker rm -f millrace-KIND`.
package docker

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/moby/moby/client"
	"github.com/testcontainers/testcontainers-go"

	"github.com/millrace-go/millrace/internal/integration/servers"
)

func init() { servers.Register(Provide) }

// The longest waits: a daemon that does not answer, or an image that does not come, must not hold up the native servers.
const (
	answerTime = 3 * time.Second
	pullTime   = 2 * time.Minute
)

// images are the official ones on the engine's default registry.
var images = map[servers.Kind]string{
	servers.MariaDB:       "mariadb:10.11",
	servers.MySQL:         "mysql:9.7",
	servers.Kafka:         "apache/kafka:4.1.0",
	servers.Elasticsearch: "elasticsearch:8.19.7",
	servers.MongoDB:       "mongo:6.0",
}

// image is the image for a kind.
func image(kind servers.Kind) string {
	if name := os.Getenv(kind.Env() + "_IMAGE"); name != "" {
		return name
	}
	return images[kind]
}

// Provide is a servers.Provider: it runs the server of a kind in a container. Without a daemon, or without the image, it returns an error that
// wraps servers.ErrNotProvided.
func Provide(ctx context.Context, kind servers.Kind, logf func(format string, args ...any)) (servers.Address, error) {
	daemon, err := daemonOnce()
	if err != nil {
		return servers.Address{}, fmt.Errorf("docker: %w: %w", err, servers.ErrNotProvided)
	}
	name := image(kind)
	if err := have(ctx, daemon, name, logf); err != nil {
		return servers.Address{}, fmt.Errorf("docker: image %s: %w: %w", name, err, servers.ErrNotProvided)
	}
	reaperOnce.Do(func() { reaper(ctx, daemon, logf) })
	value, err := runners[kind](ctx, name, testcontainers.WithReuseByName(containerName(kind)))
	if err != nil {
		return servers.Address{}, fmt.Errorf("docker: %s from image %s: %w", kind, name, err)
	}
	return servers.Address{Kind: kind, Value: value, Origin: "docker image " + name}, nil
}

// daemonOnce looks for a daemon once for a process.
var daemonOnce = sync.OnceValues(findDaemon)

// findDaemon returns a client of the first daemon that answers. It looks itself, and quickly: testcontainers asks every corner of a machine, panics
// when it finds nothing, and reads the environment only once, before it is known whether the reaper can run.
func findDaemon() (*client.Client, error) {
	hosts := []string{os.Getenv("DOCKER_HOST")}
	if hosts[0] == "" {
		hosts = nil
		home, _ := os.UserHomeDir()
		for _, path := range []string{"/var/run/docker.sock", os.Getenv("XDG_RUNTIME_DIR") + "/docker.sock", home + "/.docker/run/docker.sock", home + "/.docker/desktop/docker.sock"} {
			if _, err := os.Stat(path); err == nil {
				hosts = append(hosts, "unix://"+path)
			}
		}
	}
	errs := []error{errors.New("no daemon answers (DOCKER_HOST, or a socket at its usual places)")}
	for _, host := range hosts {
		c, err := client.New(client.FromEnv, client.WithHost(host))
		if err == nil {
			ctx, cancel := context.WithTimeout(context.Background(), answerTime)
			_, err = c.Ping(ctx, client.PingOptions{})
			cancel()
		}
		if err == nil {
			return c, os.Setenv("DOCKER_HOST", host) // testcontainers takes the same one
		}
		errs = append(errs, fmt.Errorf("%s: %w", host, err))
	}
	return nil, errors.Join(errs...)
}

// have sees to it that the daemon has an image. It pulls once: testcontainers itself would try again for a quarter of an hour.
func have(ctx context.Context, daemon *client.Client, name string, logf func(string, ...any)) error {
	if _, err := daemon.ImageInspect(ctx, name); err == nil {
		return nil
	}
	logf("docker: pulling %s", name)
	ctx, cancel := context.WithTimeoutCause(ctx, pullTime, fmt.Errorf("not pulled within %v", pullTime))
	defer cancel()
	pull, err := daemon.ImagePull(ctx, name, client.ImagePullOptions{})
	if err != nil {
		return err
	}
	defer pull.Close()
	return pull.Wait(ctx)
}

const ryukDisabled = "TESTCONTAINERS_RYUK_DISABLED"

var reaperOnce sync.Once

// reaper decides, before the first container, whether testcontainers' reaper can run.
func reaper(ctx context.Context, daemon *client.Client, logf func(string, ...any)) {
	if os.Getenv(ryukDisabled) != "" {
		return
	}
	image := testcontainers.ReaperDefaultImage //nolint:staticcheck // the only place that names the image
	if err := have(ctx, daemon, image, logf); err != nil {
		logf("docker: no image %s (%v): the containers millrace-* will outlive the tests", image, err)
		os.Setenv(ryukDisabled, "true")
	}
}

// containerName is shared by the processes of one `go test`, and, where nothing removes containers, by all.
func containerName(kind servers.Kind) string {
	if strings.EqualFold(os.Getenv(ryukDisabled), "true") || os.Getenv(ryukDisabled) == "1" {
		return "millrace-" + string(kind)
	}
	return "millrace-" + string(kind) + "-" + testcontainers.SessionID()[:12]
}
