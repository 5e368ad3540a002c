package mongodb_test

import (
	"fmt"

	"github.com/millrace-go/millrace/projector/mongodb"
)

// A read model whose readers sort by price.
func ExampleCollection() {
	home := mongodb.Collection("home", mongodb.Indexes(`[{"key": {"price": 1}, "name": "price"}]`))
	fmt.Println(home.Sink, home.Name)
	// Output: mongodb home
}

// New checks the configuration, and does not wait for the server: Check does.
func ExampleNew() {
	_, err := mongodb.New(mongodb.Config{URI: "mongodb://127.0.0.1:27017/?replicaSet=rs0"})
	fmt.Println(err)

	sink, err := mongodb.New(mongodb.Config{URI: "mongodb://127.0.0.1:27017/?replicaSet=rs0", Database: "shop"})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer sink.Close()
	fmt.Println(sink.Kind())
	// Output:
	// mongodb: config: Database is empty
	// mongodb
}
