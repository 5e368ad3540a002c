package kafkalog

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol/createtopics"
	"github.com/segmentio/kafka-go/protocol/describeconfigs"
)

// SettingsError lists every setting of topics and brokers with which the log could lose or refuse records. Nothing was written.
type SettingsError struct {
	Deviations []Deviation
}

// Deviation is one setting of one topic or broker that is not as the log needs it.
type Deviation struct {
	Topic   string // the Kafka topic, or "broker" and its id
	Setting string
	Has     string
	Wants   string
	Fix     string // the command that mends it
}

func (e *SettingsError) Error() string {
	var b strings.Builder
	b.WriteString("kafka settings:")
	for _, d := range e.Deviations {
		fmt.Fprintf(&b, "\n  %s: %s is %s, want %s; mend it with: %s", d.Topic, d.Setting, d.Has, d.Wants, d.Fix)
	}
	return b.String()
}

// setting is a topic setting that the log relies on.
type setting struct {
	name, value string
	ok          func(has string) bool
	wants       string // when it is not just the value
}

// settings are what the log needs of every one of its topics.
func (c *Config) settings() []setting {
	size := strconv.Itoa(c.MaxMessageBytes)
	return []setting{
		{name: "cleanup.policy", value: "delete"},
		{name: "retention.ms", value: "-1"},
		{name: "retention.bytes", value: "-1"},
		{name: "message.timestamp.type", value: "CreateTime"},
		{name: "max.message.bytes", value: size, wants: "at least " + size, ok: func(has string) bool {
			n, err := strconv.Atoi(has)
			return err == nil && n >= c.MaxMessageBytes
		}},
	}
}

// replicatedSetting is a setting without which a topic of some copies may lose what was acknowledged: see docs/guarantees.md.
type replicatedSetting struct {
	setting
	replicas int // from how many copies on it matters
}

func replicated() []replicatedSetting {
	return []replicatedSetting{
		{setting{name: "min.insync.replicas", value: "2", wants: "at least 2", ok: func(has string) bool { return has != "1" }}, 2},
		{setting{name: "unclean.leader.election.enable", value: "false", wants: "false", ok: func(has string) bool { return has != "true" }}, 2},
	}
}

// createTopic creates a Kafka topic and returns its layout; one that another process made meanwhile is fine, and to be checked.
func (l *Log) createTopic(ctx context.Context, name string, partitions int, settings []setting) (made topicLayout, err error) {
	topic := createtopics.RequestTopic{Name: name, NumPartitions: int32(partitions), ReplicationFactor: int16(l.cfg.ReplicationFactor)}
	if l.cfg.ReplicationFactor == 0 {
		topic.ReplicationFactor = -1
	}
	if l.cfg.ReplicationFactor >= 3 {
		for _, s := range replicated() {
			settings = append(settings, s.setting)
		}
	}
	for _, s := range settings {
		topic.Configs = append(topic.Configs, createtopics.RequestConfig{Name: s.name, Value: s.value})
	}
	err = l.client.retry(ctx, "create topic "+name, func(ctx context.Context) error {
		res, err := send[*createtopics.Response](ctx, l.client, &createtopics.Request{
			Topics: []createtopics.RequestTopic{topic}, TimeoutMs: int32(requestTimeout.Milliseconds() / 2),
		})
		if err != nil {
			return err
		}
		for _, t := range res.Topics {
			if code := kafka.Error(t.ErrorCode); code != 0 && code != kafka.TopicAlreadyExists {
				if code == kafka.InvalidReplicationFactor && l.cfg.isData(name) {
					code = kafka.BrokerNotAvailable // there were enough when the log was begun: they come back
				}
				return fmt.Errorf("%w: %s", code, t.ErrorMessage)
			}
		}
		return nil
	})
	if err != nil {
		return made, err
	}
	err = l.client.retry(ctx, "await topic "+name, func(ctx context.Context) (err error) {
		var ok bool
		made, ok, err = l.client.topic(ctx, name)
		if err == nil && (!ok || len(made.leaders) < made.partitions) {
			err = kafka.LeaderNotAvailable
		}
		return err
	})
	return made, err
}

// settingsError returns the deviations as an error, nil where there are none.
func settingsError(deviations []Deviation) error {
	if len(deviations) == 0 {
		return nil
	}
	return &SettingsError{deviations}
}

// checkTopics refuses Kafka topics that are not as the log needs them.
func (l *Log) checkTopics(ctx context.Context, topics map[string]topicLayout) error {
	deviations, err := l.topicDeviations(ctx, topics)
	if err != nil {
		return err
	}
	return settingsError(deviations)
}

// topicDeviations compares existing Kafka topics with what the log needs of them.
func (l *Log) topicDeviations(ctx context.Context, topics map[string]topicLayout) ([]Deviation, error) {
	if len(topics) == 0 {
		return nil, nil
	}
	req := &describeconfigs.Request{}
	for name := range topics {
		req.Resources = append(req.Resources, describeconfigs.RequestResource{
			ResourceType: int8(kafka.ResourceTypeTopic), ResourceName: name,
			ConfigNames: l.settingNames(),
		})
	}
	has := make(map[string]map[string]string)
	err := l.client.retry(ctx, "describe topics", func(ctx context.Context) error {
		res, err := send[*describeconfigs.Response](ctx, l.client, req)
		if err != nil {
			return err
		}
		for _, r := range res.Resources {
			if r.ErrorCode != 0 {
				return fmt.Errorf("%s: %w", r.ResourceName, kafka.Error(r.ErrorCode))
			}
			values := make(map[string]string)
			for _, e := range r.ConfigEntries {
				values[e.ConfigName] = e.ConfigValue
			}
			has[r.ResourceName] = values
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return l.compare(topics, has), nil
}

// compare lists the deviations, and warns of what may lose acknowledged data.
func (l *Log) compare(topics map[string]topicLayout, has map[string]map[string]string) (deviations []Deviation) {
	for _, name := range sortedKeys(topics) {
		for _, s := range l.cfg.settings() {
			got := has[name][s.name]
			if s.ok == nil && got == s.value || s.ok != nil && s.ok(got) {
				continue
			}
			wants := s.value
			if s.wants != "" {
				wants = s.wants
			}
			deviations = append(deviations, Deviation{name, s.name, got, wants, l.fix(name, s)})
		}
		if t := topics[name]; name == l.cfg.watermarkTopic() && t.partitions != 1 {
			deviations = append(deviations, Deviation{name, "partitions", strconv.Itoa(t.partitions), "1",
				"kafka-topics.sh --bootstrap-server " + l.bootstrap() + " --delete --topic " + name + " (after making sure that it is not another program's)"})
		}
		for _, s := range replicated() {
			// A topic of two copies cannot have both: with two in-sync ones demanded, one broker that is down stops the log.
			if replicas := topics[name].replicas; replicas < s.replicas || s.ok(has[name][s.name]) {
				continue
			}
			if l.cfg.AcceptLoss || topics[name].replicas < 3 {
				l.log.Warn("acknowledged records may be lost with one broker", "topic", name, "replicas", topics[name].replicas, s.name, has[name][s.name])
				continue
			}
			deviations = append(deviations, Deviation{name, s.name, has[name][s.name], s.wants, l.fix(name, s.setting) +
				" (or accept that acknowledged records are lost with a broker: AcceptLoss)"})
		}
	}
	return deviations
}

func (l *Log) settingNames() []string {
	var names []string
	for _, s := range l.cfg.settings() {
		names = append(names, s.name)
	}
	for _, s := range replicated() {
		names = append(names, s.name)
	}
	return names
}

func (l *Log) fix(topic string, s setting) string {
	return fmt.Sprintf("kafka-configs.sh --bootstrap-server %s --alter --entity-type topics --entity-name %s --add-config %s=%s",
		l.bootstrap(), topic, s.name, s.value)
}

func (l *Log) bootstrap() string { return strings.Join(l.cfg.Brokers, ",") }
