package kafkalog

import (
	"fmt"
	"strings"

	"github.com/millrace-go/millrace/eventstore"
)

// watermarkTopic returns the Kafka topic of the watermarks.
func (c *Config) watermarkTopic() string { return c.Pipeline + ".watermark" }

// leaderTopic returns the Kafka topic in which relays agree on which of them leads.
func (c *Config) leaderTopic() string { return c.Pipeline + ".leader" }

// transactionalID returns the id under which all writers of the pipeline fence each other. It shares the topics' prefix, so one
// prefixed ACL is enough.
func (c *Config) transactionalID() string { return c.Pipeline + ".writer" }

// kafkaTopic returns the Kafka topic of a topic of the seam.
func (c *Config) kafkaTopic(topic string) string { return c.Pipeline + "." + topic }

// isData tells whether a Kafka topic is a data topic of this pipeline.
func (c *Config) isData(name string) bool {
	topic, ok := strings.CutPrefix(name, c.Pipeline+".")
	return ok && isTopic(topic)
}

// isTopic tells the topics of the seam from the log's own.
func isTopic(topic string) bool {
	return strings.Contains(topic, ".") || topic == eventstore.SchemaTopic
}

// partitions returns how many partitions a new topic gets. Schema records are few, and in one partition their order shows.
func (c *Config) partitions(topic string) int {
	if topic == eventstore.SchemaTopic {
		return 1
	}
	return c.Partitions
}

// checkTopic refuses a topic that cannot be one of Kafka, or could be confused with the watermark topic.
func (c *Config) checkTopic(topic string) error {
	switch {
	case !isTopic(topic):
		return fmt.Errorf("topic %q has no dot: names without one are the log's own", topic)
	case !topicName.MatchString(topic):
		return fmt.Errorf("topic %q has characters that Kafka does not take in a name (letters, digits, . _ - only)", topic)
	case len(c.kafkaTopic(topic)) > maxTopicName:
		return fmt.Errorf("topic %q with the pipeline's name has more than the %d characters that Kafka takes", topic, maxTopicName)
	}
	return nil
}

// partitionNames lists partitions for a message.
func partitionNames(parts []eventstore.Partition) string {
	names := make([]string, len(parts))
	for i, p := range parts {
		names[i] = p.String()
	}
	return strings.Join(names, ", ")
}
