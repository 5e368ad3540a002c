package elastic_test

import (
	"fmt"

	"github.com/millrace-go/millrace/projector/elastic"
)

// A read model with a mapping of its own, on three shards.
func ExampleIndex() {
	home := elastic.Index("home",
		elastic.Mapping(`{"dynamic": "strict", "properties": {"title": {"type": "text"}, "price": {"type": "long"}}}`),
		elastic.Settings(`{"number_of_shards": 3}`))
	fmt.Println(home.Sink, home.Name)
	// Output: elasticsearch home
}

// New checks the configuration, and does not connect: Check does.
func ExampleNew() {
	_, err := elastic.New(elastic.Config{Addresses: []string{"localhost:9200"}})
	fmt.Println(err)

	sink, err := elastic.New(elastic.Config{Addresses: []string{"http://localhost:9200"}, Username: "millrace", Password: "…"})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer sink.Close()
	fmt.Println(sink.Kind())
	// Output:
	// elastic: config: Addresses[0] must look like http://host:port or https://host:port
	// elasticsearch
}
