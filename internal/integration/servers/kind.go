package servers

import (
	"fmt"
	"os"
	"strconv"
	"strings"
)

// Kind names one of the servers that this package knows. It is written in lower case everywhere: in flags, in folders, in state files.
type Kind string

// The servers of the integration tests.
const (
	MariaDB       Kind = "mariadb"
	MySQL         Kind = "mysql"
	Kafka         Kind = "kafka"
	Elasticsearch Kind = "elasticsearch"
	MongoDB       Kind = "mongodb"
)

// Kinds returns every kind, in the order in which `make services` starts them.
func Kinds() []Kind { return []Kind{MariaDB, MySQL, Kafka, Elasticsearch, MongoDB} }

// ParseKind returns the kind called name.
func ParseKind(name string) (Kind, error) {
	for _, k := range Kinds() {
		if name == string(k) {
			return k, nil
		}
	}
	return "", fmt.Errorf("unknown server %q: choose from %v", name, Kinds())
}

// Env is the environment variable that holds the address of a server to use instead of starting one.
func (k Kind) Env() string { return "MILLRACE_" + strings.ToUpper(string(k)) }

// PortEnv is the environment variable that chooses the port of the shared server.
func (k Kind) PortEnv() string { return k.Env() + "_PORT" }

// DefaultPort is the port of the shared server when nothing else is asked for. The ports lie below the range from which Linux picks
// ports for outgoing connections, and where no well-known service has its own. Kafka also takes the next port, for its controller.
func (k Kind) DefaultPort() int {
	switch k {
	case MariaDB:
		return 24307
	case MySQL:
		return 24306
	case Kafka:
		return 24092
	case Elasticsearch:
		return 24200
	case MongoDB:
		return 24017
	}
	return 0
}

// SharedPort is the port that the environment asks for the shared server, or else the default; asked says which of the two it is.
func (k Kind) SharedPort() (port int, asked bool, err error) {
	s := os.Getenv(k.PortEnv())
	if s == "" {
		return k.DefaultPort(), false, nil
	}
	port, err = strconv.Atoi(s)
	if err != nil || port < 1 || port > 65535 {
		return 0, true, fmt.Errorf("%s=%q is not a port: give a number from 1 to 65535", k.PortEnv(), s)
	}
	return port, true, nil
}
