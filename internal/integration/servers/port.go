package servers

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"strconv"
)

// A PortTakenError says that a port which was asked for is in use.
type PortTakenError struct {
	Kind Kind
	Port int
}

func (e *PortTakenError) Error() string {
	return fmt.Sprintf("%s: port %d on 127.0.0.1 is taken by another program: stop that program, or choose another port (%s, flag -%s-port of services, Options.Port)",
		e.Kind, e.Port, e.Kind.PortEnv(), e.Kind)
}

// portFree tells whether nothing listens on a port of 127.0.0.1.
func portFree(port int) bool {
	l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
	if err != nil {
		return false
	}
	l.Close()
	return true
}

// freePort picks a port that nothing listens on. It stays below the range from which the kernel picks the ports of outgoing connections: one
// of those could take it while a server is down that is to be restarted on it.
func freePort() (int, error) {
	const lowest = 15000
	highest := 32768
	if text, err := os.ReadFile("/proc/sys/net/ipv4/ip_local_port_range"); err == nil {
		_, _ = fmt.Sscan(string(text), &highest)
	}
	for range 100 {
		port := lowest + rand.IntN(max(highest-lowest, 10000))
		if portFree(port) {
			return port, nil
		}
	}
	return 0, errors.New("no free port on 127.0.0.1")
}
