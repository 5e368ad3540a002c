package projector

import (
	"testing"

	"github.com/millrace-go/millrace/projector"
)

// The library of the tests: books have a publisher, authors, languages and shelves through tables of their own, ratings, a buyer and a seller; authors live in
// a city of a country of a continent; users have contacts, and these have items.
type (
	bookRow struct {
		ISBN      string `json:"isbn"`
		Title     string `json:"title"`
		Publisher *int   `json:"publisher_id"`
		Buyer     *int   `json:"buyer_id"`
		Seller    *int   `json:"seller_id"`
	}
	namedRow struct {
		ID   int    `json:"id"`
		Name string `json:"name"`
	}
	childRow struct {
		ID     int    `json:"id"`
		Name   string `json:"name"`
		Parent *int   `json:"parent_id"`
	}
	throughRow struct {
		Book  string `json:"book_isbn"`
		Other int    `json:"other_id"`
	}
	ratingRow struct {
		ID    int     `json:"id"`
		Book  *string `json:"book_isbn"`
		Value *int    `json:"value"`
	}
)

type (
	bookDoc struct {
		Title     string                    `json:"title"`
		Publisher *string                   `json:"publisher"`
		Authors   projector.List[authorDoc] `json:"authors"`
		Languages []string                  `json:"languages"`
		Shelves   []string                  `json:"shelves"`
		Rating    *int                      `json:"rating"`
		Ratings   []*int                    `json:"ratings"`
		Buyer     projector.Item[userDoc]   `json:"buyer"`
		Seller    projector.Item[userDoc]   `json:"seller"`
	}
	authorDoc struct {
		ID        int     `json:"id"`
		Name      string  `json:"name"`
		City      *string `json:"city"`
		Country   *string `json:"country"`
		Continent *string `json:"continent"`
	}
	userDoc struct {
		Name     string       `json:"name"`
		Contacts []contactDoc `json:"contacts"`
	}
	contactDoc struct {
		ID    int      `json:"id"`
		Items []string `json:"items"`
	}
)

// books is the read model.
func (s *server) books() projector.Projector {
	name := func(n string) string { return s.schema + "." + n }
	id := func(r *childRow) int { return r.ID }
	parent := func(r *childRow) int { return orNone(r.Parent) }
	named := func(n string) *projector.Table[namedRow, int] {
		return projector.NewTable(name(n), func(r *namedRow) int { return r.ID })
	}
	through := func(n string) *projector.Table[throughRow, throughRow] {
		return projector.NewTable(name(n), func(r *throughRow) throughRow { return *r })
	}
	var (
		books      = projector.NewTable(name("book"), func(b *bookRow) string { return b.ISBN })
		publishers = named("publisher")
		continents = named("continent")
		languages  = named("language")
		shelves    = named("shelf")
		users      = named("user")
		countries  = projector.NewTable(name("country"), id)
		cities     = projector.NewTable(name("city"), id)
		authors    = projector.NewTable(name("author"), id)
		contacts   = projector.NewTable(name("contact"), id)
		items      = projector.NewTable(name("contact_item"), id)
		ratings    = projector.NewTable(name("rating"), func(r *ratingRow) int { return r.ID })
		byAuthor   = through("book_author")
		byLanguage = through("book_language")
		byShelf    = through("book_shelf")

		isbn        = func(t *throughRow) string { return t.Book }
		other       = func(t *throughRow) int { return t.Other }
		publisherOf = projector.BelongsTo(books, publishers, func(b *bookRow) int { return orNone(b.Publisher) })
		buyerOf     = projector.BelongsTo(books, users, func(b *bookRow) int { return orNone(b.Buyer) })
		sellerOf    = projector.BelongsTo(books, users, func(b *bookRow) int { return orNone(b.Seller) })
		authorsOf   = projector.HasMany(books, byAuthor, isbn)
		languagesOf = projector.HasMany(books, byLanguage, isbn)
		shelvesOf   = projector.HasMany(books, byShelf, isbn)
		authorOf    = projector.BelongsTo(byAuthor, authors, other)
		languageOf  = projector.BelongsTo(byLanguage, languages, other)
		shelfOf     = projector.BelongsTo(byShelf, shelves, other)
		cityOf      = projector.BelongsTo(authors, cities, parent)
		countryOf   = projector.BelongsTo(cities, countries, parent)
		continentOf = projector.BelongsTo(countries, continents, parent)
		contactsOf  = projector.HasMany(users, contacts, parent)
		itemsOf     = projector.HasMany(contacts, items, parent)
		ofBook      = func(r *ratingRow) string {
			if r.Book == nil {
				return ""
			}
			return *r.Book
		}
		ratingsOf = projector.HasMany(books, ratings, ofBook)
		ratingOf  = projector.HasOne(books, ratings, ofBook)

		author = projector.NewPart(byAuthor, func(v *projector.View, t *throughRow) (*authorDoc, error) {
			a, found := authorOf.Of(v, t)
			if !found {
				return nil, nil
			}
			doc := &authorDoc{ID: a.ID, Name: a.Name}
			if city, found := cityOf.Of(v, a); found {
				doc.City = &city.Name
				if country, found := countryOf.Of(v, city); found {
					doc.Country = &country.Name
					if continent, found := continentOf.Of(v, country); found {
						doc.Continent = &continent.Name
					}
				}
			}
			return doc, nil
		})
		user = projector.NewPart(users, func(v *projector.View, u *namedRow) (*userDoc, error) {
			doc := &userDoc{Name: u.Name, Contacts: []contactDoc{}}
			for c := range contactsOf.Of(v, u) {
				contact := contactDoc{ID: c.ID, Items: []string{}}
				for i := range itemsOf.Of(v, c) {
					contact.Items = append(contact.Items, i.Name)
				}
				doc.Contacts = append(doc.Contacts, contact)
			}
			return doc, nil
		})
	)
	return projector.Join[bookRow, string, bookDoc]{Name: "books", Version: 1, Target: projector.MemoryTarget("books"), Root: books,
		Reads: []projector.Readable{publisherOf, buyerOf, sellerOf, authorsOf, languagesOf, shelvesOf, authorOf, languageOf, shelfOf, cityOf, countryOf,
			continentOf, contactsOf, itemsOf, ratingsOf, ratingOf, author, user},
		Build: func(v *projector.View, b *bookRow) (*bookDoc, error) {
			doc := &bookDoc{Title: b.Title, Authors: author.All(v, authorsOf.Below(b)), Languages: []string{}, Shelves: []string{}, Ratings: []*int{}}
			if p, found := publisherOf.Of(v, b); found {
				doc.Publisher = &p.Name
			}
			for t := range languagesOf.Of(v, b) {
				if l, found := languageOf.Of(v, t); found {
					doc.Languages = append(doc.Languages, l.Name)
				}
			}
			for t := range shelvesOf.Of(v, b) {
				if l, found := shelfOf.Of(v, t); found {
					doc.Shelves = append(doc.Shelves, l.Name)
				}
			}
			for r := range ratingsOf.Of(v, b) {
				doc.Ratings = append(doc.Ratings, r.Value)
			}
			if r, found := ratingOf.Of(v, b); found {
				doc.Rating = r.Value
			}
			buyer, _ := buyerOf.Of(v, b)
			seller, _ := sellerOf.Of(v, b)
			doc.Buyer, doc.Seller = user.Of(v, buyer), user.Of(v, seller)
			return doc, nil
		}}
}

// orNone is a foreign key; where it is null, one that no row has.
func orNone(key *int) int {
	if key == nil {
		return -1
	}
	return *key
}

// booksSQL is the same in one SELECT, which makes JSON as text, since the servers' own functions order and nest it as they like.
const booksSQL = `SELECT b.isbn, CONCAT('{"title":', JSON_QUOTE(b.title),
	',"publisher":', COALESCE((SELECT JSON_QUOTE(p.name) FROM publisher p WHERE p.id = b.publisher_id), 'null'),
	',"authors":[', COALESCE((SELECT GROUP_CONCAT('{"id":', a.id, ',"name":', JSON_QUOTE(a.name), ',"city":', COALESCE(JSON_QUOTE(c.name), 'null'),
			',"country":', COALESCE(JSON_QUOTE(o.name), 'null'), ',"continent":', COALESCE(JSON_QUOTE(k.name), 'null'), '}' ORDER BY a.id)
		FROM book_author t JOIN author a ON a.id = t.other_id LEFT JOIN city c ON c.id = a.parent_id LEFT JOIN country o ON o.id = c.parent_id
			LEFT JOIN continent k ON k.id = o.parent_id WHERE t.book_isbn = b.isbn), ''),
	'],"languages":[', COALESCE((SELECT GROUP_CONCAT(JSON_QUOTE(l.name) ORDER BY l.id) FROM book_language t JOIN language l ON l.id = t.other_id WHERE t.book_isbn = b.isbn), ''),
	'],"shelves":[', COALESCE((SELECT GROUP_CONCAT(JSON_QUOTE(l.name) ORDER BY l.id) FROM book_shelf t JOIN shelf l ON l.id = t.other_id WHERE t.book_isbn = b.isbn), ''),
	'],"rating":', COALESCE((SELECT r.value FROM rating r WHERE r.book_isbn = b.isbn ORDER BY r.id LIMIT 1), 'null'),
	',"ratings":[', COALESCE((SELECT GROUP_CONCAT(COALESCE(r.value, 'null') ORDER BY r.id) FROM rating r WHERE r.book_isbn = b.isbn), ''),
	'],"buyer":', COALESCE((` + userSQL + ` WHERE u.id = b.buyer_id), 'null'), ',"seller":', COALESCE((` + userSQL + ` WHERE u.id = b.seller_id), 'null'), '}') FROM book b`

const userSQL = `SELECT CONCAT('{"name":', JSON_QUOTE(u.name), ',"contacts":[', COALESCE((SELECT GROUP_CONCAT('{"id":', c.id, ',"items":[',
		COALESCE((SELECT GROUP_CONCAT(JSON_QUOTE(i.name) ORDER BY i.id) FROM contact_item i WHERE i.parent_id = c.id), ''), ']}' ORDER BY c.id)
	FROM contact c WHERE c.parent_id = u.id), ''), ']}') FROM user u`

// TestNestedChildren goes through the cases by which PGSync tests its documents: insert, update and delete of the root, of children by either side's key, of children
// and grandchildren through tables, of the deepest ones, changed primary keys on each level, nulls, rows that come before their parents, and leaves that are
// reached on two ways. After each step every document is what one SELECT gives, and so are those that are built anew at the end.
func TestNestedChildren(t *testing.T) {
	onEach(t, func(t *testing.T, s *server) {
		s.exec("CREATE TABLE book (isbn VARCHAR(20) PRIMARY KEY, title VARCHAR(50) NOT NULL, publisher_id INT, buyer_id INT, seller_id INT)")
		for _, table := range []string{"publisher", "continent", "language", "shelf", "user"} {
			s.exec("CREATE TABLE " + table + " (id INT PRIMARY KEY, name VARCHAR(50) NOT NULL)")
		}
		for _, table := range []string{"country", "city", "author", "contact", "contact_item"} {
			s.exec("CREATE TABLE " + table + " (id INT PRIMARY KEY, name VARCHAR(50) NOT NULL, parent_id INT)")
		}
		for _, table := range []string{"book_author", "book_language", "book_shelf"} {
			s.exec("CREATE TABLE " + table + " (book_isbn VARCHAR(20), other_id INT, PRIMARY KEY (book_isbn, other_id))")
		}
		s.exec("CREATE TABLE rating (id INT PRIMARY KEY, book_isbn VARCHAR(20), value INT)")
		f := s.follow(s.books())
		for _, step := range []struct {
			name string
			do   []string
		}{
			{"insert through rows before both their ends", []string{"INSERT INTO book_author VALUES ('a', 1), ('a', 2), ('b', 2), ('b', 9)", "INSERT INTO book_language VALUES ('a', 1), ('b', 1), ('b', 2)"}},
			{"insert children before their parents", []string{"INSERT INTO rating VALUES (1, 'a', 5), (2, 'a', 3), (3, 'b', NULL), (4, NULL, 1)", "INSERT INTO contact VALUES (1, 'c', 1), (2, 'c', 1), (3, 'c', 2)"}},
			{"insert grandchildren before their parents", []string{"INSERT INTO city VALUES (1, 'Bonn', 1), (2, 'Bath', 2), (3, 'nowhere', NULL)", "INSERT INTO contact_item VALUES (1, 'x', 1), (2, 'y', 1), (3, 'z', 3)"}},
			{"insert root", []string{"INSERT INTO book VALUES ('a', 'A', 1, 1, 2), ('b', 'B', NULL, NULL, NULL)"}},
			{"insert late parents", []string{"INSERT INTO publisher VALUES (1, 'one'), (2, 'two')", "INSERT INTO user VALUES (1, 'ann'), (2, 'bob'), (3, 'eve')"}},
			{"insert through child", []string{"INSERT INTO author VALUES (1, 'Ay', 1), (2, 'Be', 2)", "INSERT INTO language VALUES (1, 'en'), (2, 'fr')"}},
			{"insert grand child through child", []string{"INSERT INTO author VALUES (3, 'Ce', 3)", "INSERT INTO book_author VALUES ('a', 3)"}},
			{"insert deep nested", []string{"INSERT INTO country VALUES (1, 'DE', 1), (2, 'UK', 1)"}},
			{"insert deepest", []string{"INSERT INTO continent VALUES (1, 'Europe'), (2, 'Asia')"}},
			{"update deepest", []string{"UPDATE continent SET name = 'Europa' WHERE id = 1"}},
			{"update deep nested foreign key", []string{"UPDATE country SET parent_id = 2 WHERE id = 2"}},
			{"deep foreign key to null", []string{"UPDATE country SET parent_id = NULL WHERE id = 2"}},
			{"deep foreign key from null", []string{"UPDATE city SET parent_id = 2 WHERE id = 3"}},
			{"deep primary key", []string{"UPDATE country SET id = 20 WHERE id = 2"}},
			{"deep primary key, with those below", []string{"UPDATE city SET parent_id = 20 WHERE parent_id = 2"}},
			{"delete deep nested", []string{"DELETE FROM country WHERE id = 1"}},
			{"update root", []string{"UPDATE book SET title = 'A \"quoted\" ü' WHERE isbn = 'a'"}},
			{"update child, key on parent", []string{"UPDATE publisher SET name = 'uno' WHERE id = 1"}},
			{"move to another child", []string{"UPDATE book SET publisher_id = 2 WHERE isbn = 'a'"}},
			{"child that it has left", []string{"UPDATE publisher SET name = 'eins' WHERE id = 1", "DELETE FROM publisher WHERE id = 1"}},
			{"child's primary key", []string{"UPDATE publisher SET id = 3 WHERE id = 2"}},
			{"child's primary key, with the root's", []string{"UPDATE book SET publisher_id = 3 WHERE isbn = 'a'"}},
			{"delete child, key on parent", []string{"DELETE FROM publisher WHERE id = 3"}},
			{"update child, key on child", []string{"UPDATE rating SET value = 4 WHERE id = 1"}},
			{"move child to another root", []string{"UPDATE rating SET book_isbn = 'b' WHERE id = 1"}},
			{"child from null", []string{"UPDATE rating SET book_isbn = 'a' WHERE id = 4"}},
			{"child to null", []string{"UPDATE rating SET book_isbn = NULL WHERE id = 2"}},
			{"child's primary key, key on child", []string{"UPDATE rating SET id = 40 WHERE id = 4"}},
			{"delete child, key on child", []string{"DELETE FROM rating WHERE id = 3"}},
			{"update through child", []string{"UPDATE author SET name = 'Bee' WHERE id = 2"}},
			{"update grand child through child", []string{"UPDATE city SET name = 'York' WHERE id = 2"}},
			{"move grand child", []string{"UPDATE author SET parent_id = 2 WHERE id = 1"}},
			{"update through row", []string{"UPDATE book_author SET book_isbn = 'b' WHERE book_isbn = 'a' AND other_id = 1"}},
			{"through child's primary key", []string{"UPDATE author SET id = 9 WHERE id = 2"}},
			{"delete through row", []string{"DELETE FROM book_author WHERE book_isbn = 'b' AND other_id = 9"}},
			{"delete through child", []string{"DELETE FROM author WHERE id = 9"}},
			{"insert shelves, in the wrong order", []string{"INSERT INTO book_shelf VALUES ('a', 2), ('a', 1)", "INSERT INTO shelf VALUES (2, 'low'), (1, 'high')"}},
			{"update non-through child", []string{"UPDATE shelf SET name = 'higher' WHERE id = 1"}},
			{"delete non-through child", []string{"DELETE FROM shelf WHERE id = 1"}},
			{"one leaf on two ways", []string{"UPDATE book SET buyer_id = 1, seller_id = 1 WHERE isbn = 'b'"}},
			{"update it", []string{"UPDATE contact_item SET name = 'xx' WHERE id = 1"}},
			{"move it", []string{"UPDATE contact_item SET parent_id = 3 WHERE id = 1"}},
			{"empty leaf", []string{"DELETE FROM contact_item WHERE parent_id = 1"}},
			{"leaf's parent moves", []string{"UPDATE contact SET parent_id = 3 WHERE id = 3", "UPDATE book SET seller_id = 3 WHERE isbn = 'b'"}},
			{"user's primary key", []string{"UPDATE user SET id = 4 WHERE id = 1"}},
			{"root's primary key", []string{"UPDATE book SET isbn = 'c' WHERE isbn = 'a'"}},
			{"root's primary key, with those below", []string{"UPDATE rating SET book_isbn = 'c' WHERE book_isbn = 'a'", "UPDATE book_author SET book_isbn = 'c' WHERE book_isbn = 'a'",
				"UPDATE book_language SET book_isbn = 'c' WHERE book_isbn = 'a'"}},
			{"insert and delete in one transaction", []string{"INSERT INTO book VALUES ('x', 'X', 1, 1, 1)", "INSERT INTO rating VALUES (50, 'x', 1)", "DELETE FROM book WHERE isbn = 'x'"}},
			{"delete and insert in one transaction", []string{"DELETE FROM book WHERE isbn = 'b'", "INSERT INTO book VALUES ('b', 'anew', NULL, 2, NULL)"}},
			{"two roots exchange their children", []string{"UPDATE rating SET book_isbn = IF(book_isbn = 'b', 'c', 'b') WHERE book_isbn IN ('b', 'c')"}},
			{"the same again", []string{"UPDATE book SET title = title"}},
			{"nothing", nil},
			{"delete root", []string{"DELETE FROM book WHERE isbn = 'b'"}},
			{"root comes back", []string{"INSERT INTO book VALUES ('b', 'back', 2, 2, 3)"}},
			{"many at once", []string{"INSERT INTO book SELECT CONCAT('n', a.id * 100 + c.id), a.name, NULL, c.parent_id, a.id FROM contact_item a JOIN contact c"}},
		} {
			f.commit(step.do...)
			f.want(step.name, "books", documents(f.sink, "books"), s.selected(booksSQL))
			if t.Failed() {
				t.FailNow()
			}
		}
		s.exec("TRUNCATE TABLE author")
		f.reach(f.runner)
		f.want("truncate", "books", documents(f.sink, "books"), s.selected(booksSQL))
		again := projector.NewMemorySink()
		runner, stop := f.run(again)
		f.reach(runner)
		f.want("built anew", "books", documents(again, "books"), s.selected(booksSQL))
		if n := len(documents(again, "books")); n < 4 {
			t.Errorf("%d documents at the end", n)
		}
		for _, stop := range []func() error{stop, f.stop} {
			if err := stop(); err != nil {
				t.Fatal(err)
			}
		}
	})
}
