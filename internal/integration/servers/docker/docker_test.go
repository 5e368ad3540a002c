package docker

import (
	"errors"
	"net"
	"testing"
	"time"

	"github.com/millrace-go/millrace/internal/integration/servers"
)

// TestSilentDaemon checks that a daemon that accepts connections and never answers is given up, and that the next provider may try. It is the only
// test that sets DOCKER_HOST: testcontainers reads it once for a process.
func TestSilentDaemon(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	t.Setenv("DOCKER_HOST", "tcp://"+l.Addr().String())
	begin := time.Now()
	_, err = Provide(t.Context(), servers.MySQL, t.Logf)
	if !errors.Is(err, servers.ErrNotProvided) {
		t.Errorf("got %v, want %v", err, servers.ErrNotProvided)
	}
	if took := time.Since(begin); took > 2*answerTime {
		t.Errorf("took %v", took)
	}
	t.Log(err)
}

// TestRunners checks that every kind has an image and a runner.
func TestRunners(t *testing.T) {
	for _, k := range servers.Kinds() {
		if image(k) == "" || runners[k] == nil {
			t.Errorf("%s: image %q, runner %t", k, image(k), runners[k] != nil)
		}
	}
}
