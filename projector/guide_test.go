package projector_test

import (
	"os"
	"strings"
	"testing"

	"github.com/millrace-go/millrace/projector/projectortest"
)

// TestGuide: the code of docs/projectors.md is that of tested examples.
func TestGuide(t *testing.T) {
	page, err := os.ReadFile("../docs/projectors.md")
	if err != nil {
		t.Fatal(err)
	}
	blocks := map[string]bool{}
	for i, block := range strings.Split(string(page), "```") {
		if code, found := strings.CutPrefix(block, "go\n"); found && i%2 == 1 {
			blocks[strings.TrimSpace(code)] = false
		}
	}
	for _, file := range []string{"guide_example_test.go", "guide_test.go", "../internal/integration/projector/guide_test.go"} {
		source, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, part := range strings.Split(string(source), "// guide: ")[1:] {
			name, code, _ := strings.Cut(part, "\n")
			if name == "end" || strings.ContainsAny(name, `"'`) {
				continue
			}
			code = undent(code)
			if _, found := blocks[code]; !found {
				t.Errorf("%s: the page lacks the example %s:\n%s", file, name, code)
			}
			blocks[code] = true
		}
	}
	for code, found := range blocks {
		if !found {
			t.Errorf("no test has this example of the page:\n%s", code)
		}
	}
}

// undent takes the indentation of the first line from all.
func undent(code string) string {
	lines := strings.Split(strings.TrimRight(code, "\t\n "), "\n")
	indent := lines[0][:len(lines[0])-len(strings.TrimLeft(lines[0], "\t"))]
	for i, line := range lines {
		lines[i] = strings.TrimPrefix(line, indent)
	}
	return strings.Join(lines, "\n")
}

func TestShelves(t *testing.T) {
	// guide: scenario
	projectortest.Of(t, shelves).Key("shop.stock", "product_id").
		Given(projectortest.Put("shop.stock", Stock{Product: 10, Qty: 3})). // it comes before its product
		Given(projectortest.Put("shop.category", Category{1, "tea"}), projectortest.Put("shop.category", Category{2, "coffee"})).
		When(projectortest.Put("shop.product", Product{10, 1, "green"})).
		Then("1", map[string]any{"name": "tea", "items": []Entry{{"green", 3}}}).
		ThenWrote("1").
		When(projectortest.Put("shop.product", Product{10, 2, "decaf"})). // moves
		Then("1", map[string]any{"name": "tea", "items": []Entry{}}).
		Then("2", map[string]any{"name": "coffee", "items": []Entry{{"decaf", 3}}})
	// guide: end
}

func TestShelvesDifferential(t *testing.T) {
	bubble(t, func(t *testing.T) {
		// guide: differential
		projectortest.Differential(t, shelves, 2_000, 1, categories, products, stocks)
		// guide: end
	})
}
