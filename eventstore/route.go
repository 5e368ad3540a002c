package eventstore

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/millrace-go/millrace/internal/pattern"
)

// Routes says to which topics the rows of tables go. The first route that matches a table is where its rows are written; a table that
// none matches has its own topic, [RowTopic]. Several tables may share a topic: a row's envelope names its table, and in one partition rows stand in
// commit order whatever their table. The zero value gives each table its own topic.
//
// Writer and readers must be given the same routes. Readers read every topic that a matching route names, and [RowTopic], so routes
// may change during the life of a log: put the new route in front and leave the old one where it is, for readers first.
type Routes []Route

// Route is where the rows of some tables go.
type Route struct {
	// Tables is a pattern of the form "schema.table", each half with the wildcards of [path.Match].
	Tables string
	// Topic is the topic, in which {schema} and {table} stand for the table's names, escaped as in [RowTopic]: "shop.all",
	// "{schema}.sharded_orders". It has a dot, since topics without one are the log's own, and otherwise letters, digits, '_' and '-'. A log may
	// demand that names are shorter than Kafka's 249 characters, since it puts its own prefix in front.
	Topic string
}

var topicName = regexp.MustCompile(`^[A-Za-z0-9._-]+$`)

// maxTopic is the longest topic name that Kafka takes.
const maxTopic = 249

// Validate reports everything that is wrong, in one error.
func (r Routes) Validate() error {
	var errs []error
	for i, route := range r {
		if err := pattern.CheckTable(route.Tables); err != nil {
			errs = append(errs, fmt.Errorf("Routes[%d]: %w", i, err))
		}
		switch topic := route.topic("s", "t"); {
		case !topicName.MatchString(topic):
			errs = append(errs, fmt.Errorf("Routes[%d]: topic %q: want letters, digits, '.', '_', '-', and the placeholders {schema} and {table}", i, route.Topic))
		case !strings.Contains(topic, "."):
			errs = append(errs, fmt.Errorf("Routes[%d]: topic %q has no dot: names without one are the log's own", i, route.Topic))
		case len(topic) > maxTopic:
			errs = append(errs, fmt.Errorf("Routes[%d]: topic %q has %d characters, Kafka takes %d", i, route.Topic, len(topic), maxTopic))
		}
	}
	return errors.Join(errs...)
}

// Topic returns the topic that a table's rows are written to.
func (r Routes) Topic(schema, table string) string {
	for _, route := range r {
		if pattern.Table(route.Tables, schema, table) {
			return route.topic(schema, table)
		}
	}
	return RowTopic(schema, table)
}

// Topics returns every topic that may have rows of a table, for readers: the one of [Routes.Topic] first.
func (r Routes) Topics(schema, table string) []string {
	var topics []string
	add := func(topic string) {
		if !slices.Contains(topics, topic) {
			topics = append(topics, topic)
		}
	}
	for _, route := range r {
		if pattern.Table(route.Tables, schema, table) {
			add(route.topic(schema, table))
		}
	}
	add(RowTopic(schema, table))
	return topics
}

func (r Route) topic(schema, table string) string {
	return strings.NewReplacer("{schema}", string(appendTopicName(nil, schema)), "{table}", string(appendTopicName(nil, table))).Replace(r.Topic)
}
