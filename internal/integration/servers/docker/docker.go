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
	if err := daemon(); err != nil {
		return servers.Address{}, fmt.Errorf("docker: %w: %w", err, servers.ErrNotProvided)
	}
	name := image(kind)
	if err := have(ctx, name, logf); err != nil {
		return servers.Address{}, fmt.Errorf("docker: image %s: %w: %w", name, err, servers.ErrNotProvided)
	}
	reaper(ctx, logf)
	value, err := runners[kind](ctx, name, testcontainers.WithReuseByName(containerName(kind)))
	if err != nil {
		return servers.Address{}, fmt.Errorf("docker: %s from image %s: %w", kind, name, err)
	}
	return servers.Address{Kind: kind, Value: value, Origin: "docker image " + name}, nil
}

// daemon asks once for a process whether a Docker daemon answers.
var daemon = sync.OnceValue(func() error {
	if os.Getenv("DOCKER_HOST") == "" {
		// The quick no, before testcontainers looks into every corner for a daemon.
		home, _ := os.UserHomeDir()
		found := false
		for _, path := range []string{"/var/run/docker.sock", os.Getenv("XDG_RUNTIME_DIR") + "/docker.sock", home + "/.docker/run/docker.sock",
			home + "/.docker/desktop/docker.sock", home + "/.testcontainers.properties"} {
			_, err := os.Stat(path)
			found = found || err == nil
		}
		if !found {
			return fmt.Errorf("no daemon: DOCKER_HOST is not set, and there is no socket")
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), answerTime)
	defer cancel()
	answer := make(chan error, 1) // the goroutine ends with the client's call, at the latest when the process does
	go func() {
		answer <- withClient(func(c client.APIClient) error {
			_, err := c.Ping(ctx, client.PingOptions{})
			return err
		})
	}()
	select {
	case err := <-answer:
		return err
	case <-ctx.Done():
		return fmt.Errorf("the daemon did not answer within %v", answerTime)
	}
})

// withClient lends a client of the daemon that testcontainers uses. testcontainers panics where it finds none.
func withClient(use func(c client.APIClient) error) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("no daemon: %v", r)
		}
	}()
	p, err := testcontainers.NewDockerProvider()
	if err != nil {
		return err
	}
	defer p.Close()
	return use(p.Client())
}

// have sees to it that the daemon has an image. It pulls once: testcontainers itself would try again for a quarter of an hour.
func have(ctx context.Context, name string, logf func(string, ...any)) error {
	return withClient(func(c client.APIClient) error {
		if _, err := c.ImageInspect(ctx, name); err == nil {
			return nil
		}
		logf("docker: pulling %s", name)
		ctx, cancel := context.WithTimeoutCause(ctx, pullTime, fmt.Errorf("not pulled within %v", pullTime))
		defer cancel()
		pull, err := c.ImagePull(ctx, name, client.ImagePullOptions{})
		if err != nil {
			return err
		}
		defer pull.Close()
		return pull.Wait(ctx)
	})
}

const ryukDisabled = "TESTCONTAINERS_RYUK_DISABLED"

var reaperOnce sync.Once

// reaper decides, before the first container, whether testcontainers' reaper can run.
func reaper(ctx context.Context, logf func(string, ...any)) {
	reaperOnce.Do(func() {
		if os.Getenv(ryukDisabled) != "" {
			return
		}
		if err := have(ctx, testcontainers.ReaperDefaultImage, logf); err != nil {
			logf("docker: no image %s (%v): the containers millrace-* will outlive the tests", testcontainers.ReaperDefaultImage, err)
			os.Setenv(ryukDisabled, "true")
		}
	})
}

// containerName is shared by the processes of one `go test`, and, where nothing removes containers, by all.
func containerName(kind servers.Kind) string {
	if strings.EqualFold(os.Getenv(ryukDisabled), "true") || os.Getenv(ryukDisabled) == "1" {
		return "millrace-" + string(kind)
	}
	return "millrace-" + string(kind) + "-" + testcontainers.SessionID()[:12]
}
