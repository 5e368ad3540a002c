package kafkalog

import _ "github.com/millrace-go/millrace/internal/integration/servers/docker" // Docker, where it has the servers
