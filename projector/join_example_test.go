package projector_test

import (
	"context"
	"fmt"

	"github.com/millrace-go/millrace/eventstore"
	"github.com/millrace-go/millrace/projector"
	"github.com/millrace-go/millrace/projector/projectortest"
)

type (
	author struct {
		ID   int    `json:"id"`
		Name string `json:"name"`
	}
	book struct {
		ID     int    `json:"id"`
		Author int    `json:"author_id"`
		Title  string `json:"title"`
		Year   int    `json:"year"`
	}
)

var (
	authors = projector.NewTable("shop.author", func(a *author) int { return a.ID })
	books   = projector.NewTable("shop.book", func(b *book) int { return b.ID })
)

// showDocs runs a read model over some transactions, and prints its documents.
func showDocs(p projector.Projector, transactions ...[]projectortest.Change) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	log, sink := eventstore.NewMemoryLog(), projector.NewMemorySink()
	feed, err := projectortest.NewFeed(ctx, log) // in the place of a database and its relay
	if err != nil {
		fmt.Println(err)
	}
	runner, err := projector.NewRunner(projector.Config{Log: log, Sinks: []projector.Sink{sink}, Projectors: []projector.Projector{p}})
	if err != nil {
		fmt.Println(err)
		return
	}
	done := make(chan error)
	go func() { done <- runner.Run(ctx) }()
	for _, changes := range transactions {
		if _, err := feed.Commit(ctx, changes...); err != nil {
			fmt.Println(err)
		}
	}
	if err := runner.WaitFor(ctx, runner.Status()[0].Projector, feed.CSN()); err != nil {
		fmt.Println(err)
	}
	for d := range sink.Each(projector.TargetOf(p).Name) {
		fmt.Println(d.ID, string(d.Body))
	}
	cancel()
	if err := <-done; err != nil {
		fmt.Println(err)
	}
}

var library = [][]projectortest.Change{
	{projectortest.Put("shop.book", book{1, 7, "Emma", 1815}), projectortest.Put("shop.book", book{2, 7, "Persuasion", 1817})},
	{projectortest.Put("shop.author", author{7, "Austen"}), projectortest.Put("shop.book", book{3, 8, "Middlemarch", 1871})},
	{projectortest.Put("shop.author", author{8, "Eliot"})},
}

func ExampleHasMany() {
	booksOf := projector.HasMany(authors, books, func(b *book) int { return b.Author })
	type doc struct {
		Name  string   `json:"name"`
		Books []string `json:"books"`
	}
	showDocs(projector.Join[author, int, doc]{
		Name: "docs", Version: 1, Target: projector.MemoryTarget("docs"),
		Root:  authors,
		Reads: []projector.Readable{booksOf},
		Build: func(v *projector.View, a *author) (*doc, error) {
			d := &doc{Name: a.Name}
			for b := range booksOf.Of(v, a) {
				d.Books = append(d.Books, b.Title)
			}
			return d, nil
		},
	}, library...)
	// Output:
	// 7 {"name":"Austen","books":["Emma","Persuasion"]}
	// 8 {"name":"Eliot","books":["Middlemarch"]}
}

func ExampleBelongsTo() {
	authorOf := projector.BelongsTo(books, authors, func(b *book) int { return b.Author })
	type doc struct {
		Title  string `json:"title"`
		Author string `json:"author"`
	}
	showDocs(projector.Join[book, int, doc]{
		Name: "docs", Version: 1, Target: projector.MemoryTarget("docs"),
		Root:  books,
		Reads: []projector.Readable{authorOf},
		Build: func(v *projector.View, b *book) (*doc, error) {
			a, found := authorOf.Of(v, b)
			if !found {
				return nil, nil // no document yet
			}
			return &doc{b.Title, a.Name}, nil
		},
	}, library...)
	// Output:
	// 1 {"title":"Emma","author":"Austen"}
	// 2 {"title":"Persuasion","author":"Austen"}
	// 3 {"title":"Middlemarch","author":"Eliot"}
}

func ExampleHasOne() {
	type price struct {
		Book  int    `json:"book_id"`
		Price string `json:"price"`
	}
	prices := projector.NewTable("shop.price", func(p *price) int { return p.Book })
	priceOf := projector.HasOne(books, prices, func(p *price) int { return p.Book })
	showDocs(projector.Join[book, int, price]{
		Name: "docs", Version: 1, Target: projector.MemoryTarget("docs"),
		Root:  books,
		Reads: []projector.Readable{priceOf},
		Build: func(v *projector.View, b *book) (*price, error) {
			p, _ := priceOf.Of(v, b) // nil, and no document, where there is none
			return p, nil
		},
	}, append(library, []projectortest.Change{projectortest.Put("shop.price", map[string]any{"id": 2, "book_id": 2, "price": "7.50"})})...)
	// Output:
	// 2 {"book_id":2,"price":"7.50"}
}

func ExampleNewPart() {
	type entry struct {
		Title string `json:"title"`
	}
	type doc struct {
		Name  string                `json:"name"`
		Books projector.List[entry] `json:"books"`
	}
	booksOf := projector.HasMany(authors, books, func(b *book) int { return b.Author })
	entries := projector.NewPart(books, func(_ *projector.View, b *book) (*entry, error) {
		if b.Year < 1816 {
			return nil, nil // left out
		}
		return &entry{b.Title}, nil
	})
	showDocs(projector.Join[author, int, doc]{
		Name: "docs", Version: 1, Target: projector.MemoryTarget("docs"),
		Root:  authors,
		Reads: []projector.Readable{booksOf, entries},
		Build: func(v *projector.View, a *author) (*doc, error) {
			return &doc{a.Name, entries.All(v, booksOf.Below(a))}, nil
		},
	}, library...)
	// Output:
	// 7 {"name":"Austen","books":[{"title":"Persuasion"}]}
	// 8 {"name":"Eliot","books":[{"title":"Middlemarch"}]}
}

func ExampleNewTable() {
	settings := projector.NewTable("shop.setting", func(s *author) int { return s.ID })
	type doc struct {
		Greeting string `json:"greeting"`
	}
	showDocs(projector.Join[author, int, doc]{
		Name: "docs", Version: 1, Target: projector.MemoryTarget("docs"),
		Root:  authors,
		Reads: []projector.Readable{settings}, // read freely
		Build: func(v *projector.View, a *author) (*doc, error) {
			greeting, found := settings.Get(v, 1)
			if !found {
				return &doc{"Who is " + a.Name + "?"}, nil
			}
			return &doc{greeting.Name + ", " + a.Name}, nil
		},
	}, append(library, []projectortest.Change{projectortest.Put("shop.setting", author{1, "Hello"})})...)
	// Output:
	// 7 {"greeting":"Hello, Austen"}
	// 8 {"greeting":"Hello, Eliot"}
}

func ExampleNewIndex() {
	byName := projector.NewIndex(authors, func(a *author) string { return a.Name })
	type doc struct {
		Namesakes int `json:"namesakes"`
	}
	showDocs(projector.Join[author, int, doc]{
		Name: "docs", Version: 1, Target: projector.MemoryTarget("docs"),
		Root:  authors,
		Reads: []projector.Readable{byName},
		Build: func(v *projector.View, a *author) (*doc, error) {
			d := &doc{Namesakes: -1}
			for range byName.Find(v, a.Name) {
				d.Namesakes++
			}
			return d, nil
		},
	}, append(library, []projectortest.Change{projectortest.Put("shop.author", author{9, "Eliot"})})...)
	// Output:
	// 7 {"namesakes":0}
	// 8 {"namesakes":1}
	// 9 {"namesakes":1}
}

func ExampleNewOrderedIndex() {
	byYear := projector.NewOrderedIndex(books, func(b *book) int { return b.Author }, func(b *book) int { return b.Year })
	type doc struct {
		Early []string `json:"early"`
	}
	showDocs(projector.Join[author, int, doc]{
		Name: "docs", Version: 1, Target: projector.MemoryTarget("docs"),
		Root:  authors,
		Reads: []projector.Readable{byYear},
		Build: func(v *projector.View, a *author) (*doc, error) {
			d := &doc{}
			for b := range byYear.Range(v, a.ID, 1800, 1816) {
				d.Early = append(d.Early, b.Title)
			}
			return d, nil
		},
	}, library...)
	// Output:
	// 7 {"early":["Emma"]}
	// 8 {"early":null}
}
