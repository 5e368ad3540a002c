package documents

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"

	"github.com/millrace-go/millrace/projector"
)

// readModel is one kind of documents.
type readModel struct {
	name string
	// projector keeps the documents in a target. database is for queries.
	projector func(name string, target projector.Target, database projector.Database) projector.Projector
	// oracle gives id and document of each, as one SQL query. It is the same on both servers.
	oracle string
	// recompute makes a document from plain rows, or nil; ids are those that may have one.
	recompute func(r *rows, id string) any
	ids       func(r *rows) []string
}

// readModels are all kinds, of three schemas.
func readModels() []*readModel {
	return []*readModel{homes(), products(), shelves(), orders(), tags(), customers(), trees(), paths()}
}

// sum identifies a document's content: the JSON with sorted names and without spaces.
type sum [16]byte

// absent is the sum of no document.
var absent sum

// canonical returns JSON in its one form: numbers keep their text.
func canonical(body []byte) ([]byte, error) {
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	var value any
	if err := d.Decode(&value); err != nil {
		return nil, err
	}
	if _, err := d.Token(); err == nil {
		return nil, fmt.Errorf("something follows the JSON")
	}
	return json.Marshal(value)
}

// sumOf returns the sum of a document's JSON; nil is no document.
func sumOf(body []byte) (sum, error) {
	if body == nil {
		return absent, nil
	}
	text, err := canonical(body)
	if err != nil {
		return absent, err
	}
	whole := sha256.Sum256(text)
	return sum(whole[:16]), nil
}

// array is SQL that makes a JSON array of the documents of a group in an order. JSON_ARRAYAGG has no order on MySQL.
func array(doc, order string) string {
	return "JSON_EXTRACT(CONCAT('[', COALESCE(GROUP_CONCAT(" + doc + " ORDER BY " + order + " SEPARATOR ','), ''), ']'), '$')"
}
