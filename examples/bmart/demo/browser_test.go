package demo

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"

	"github.com/millrace-go/millrace/internal/integration/servers"
)

// TestPageInBrowser looks at the page of a running shop with a real browser, and changes the shop by SQL.
func TestPageInBrowser(t *testing.T) {
	t.Attr("server", "mariadb")
	program := servers.FindBrowser(t)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	defer cancel()
	url, db := showShop(ctx, t)
	b := openBrowser(ctx, t, program)

	// A catalog that the load knows nothing of. Its texts are markup.
	const id, title, name = 1_000_000, `<b>Tea</b> & more`, `<img src="/" onerror="document.title = 'evaluated'">`
	execute := func(query string, args ...any) {
		t.Helper()
		if _, err := db.ExecContext(ctx, query, args...); err != nil {
			t.Fatal(err)
		}
	}
	execute("INSERT INTO bmart.catalog (id, title) VALUES (?, ?)", id, title)
	execute("INSERT INTO bmart.category (id, catalog_id, position, title) VALUES (?, ?, 1, '<i>')", id, id)
	execute("INSERT INTO bmart.product (id, category_id, name, note, price, updated_at) VALUES (?, ?, ?, '<u>', 1.50, NOW(6))", id, id, name)
	execute("INSERT INTO bmart.stock (product_id, qty) VALUES (?, 5)", id)
	stock := func(qty int) { t.Helper(); execute("UPDATE bmart.stock SET qty = ? WHERE product_id = ?", qty, id) }

	if err := chromedp.Do(b.ctx, chromedp.Navigate(fmt.Sprintf("%s/?catalog=%d", url, id))); err != nil {
		t.Fatal(err)
	}
	b.wait(`texts("#categories .qty") == "5 left"`)
	for selector, want := range map[string]string{"#title": title, "#categories h3": "<i>", "#categories .name": name, "#categories .note": "<u>", "#categories .price": "1.50"} {
		if got := b.text(`texts(` + fmt.Sprintf("%q", selector) + `)`); got != want {
			t.Errorf("%s is %q, want the text %q", selector, got, want)
		}
	}
	if got := b.text(`document.title + " " + document.querySelectorAll("#tree :is(img, b, i, u)").length`); got != "B-mart, live 0" {
		t.Errorf("the page has evaluated a product's name: %q", got)
	}

	stock(3)
	b.wait(`texts("#categories .qty") == "3 left"`)

	// Of the load beside it: how fresh the documents are, and what flows where.
	b.wait(`texts("#freshness h3") == "home|product"`)
	b.wait(`all("#freshness .p50", /^[0-9.]+ m?s$/) && all("#freshness .p99", /^[0-9.]+ m?s$/) && all("#freshness .behind", /^[0-9]+$/)`)
	b.wait(`/^[1-9][0-9]* rows.s\|1 started\|[1-9][0-9]* rows.s\|1 started\|[1-9][0-9]* documents.s$/.test(texts("#stages .figure"))`)
	b.wait(`document.querySelectorAll("#changes li").length >= 10`)

	stock(0) // which hides the catalog
	b.wait(`texts("#state").includes("is hidden") && !document.querySelector("#categories article")`)
	stock(4)
	b.wait(`texts("#categories .qty") == "4 left" && !texts("#state").includes("is hidden")`)
	b.quiet()
}

// showShop runs the demo's page until the test ends.
func showShop(ctx context.Context, t *testing.T) (url string, admin *sql.DB) {
	t.Helper()
	running, stop := context.WithCancel(ctx)
	type shown struct {
		url   string
		admin *sql.DB
	}
	page, ended := make(chan shown, 1), make(chan error, 1)
	go func() {
		ended <- Run(running, Config{DB: "mariadb", Catalogs: 40, Rate: 20, Out: t.Output(), Log: t.Output(),
			shown: func(url string, admin *sql.DB) { page <- shown{url, admin} }})
	}()
	select {
	case p := <-page:
		t.Cleanup(func() {
			stop()
			if err := <-ended; err != nil {
				t.Error(err)
			}
		})
		return p.url, p.admin
	case err := <-ended:
		stop()
		t.Fatalf("the demo has ended: %v", err)
		return "", nil
	}
}

// browser is a tab of a headless Chromium.
type browser struct {
	t   *testing.T
	ctx context.Context

	mu    sync.Mutex
	wrong []string
}

func openBrowser(ctx context.Context, t *testing.T, program string) *browser {
	t.Helper()
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(program),
		chromedp.NoSandbox,                       // which root cannot have, and a container has not
		chromedp.WSURLReadTimeout(2*time.Minute)) // the machine may be busy
	allocator, closeBrowser := chromedp.NewExecAllocator(ctx, options...)
	t.Cleanup(closeBrowser) // waits for its end
	tab, _ := chromedp.NewContext(allocator, chromedp.WithErrorf(t.Logf))
	b := &browser{t: t, ctx: tab}
	err := chromedp.Listen(tab, func(event any) {
		b.mu.Lock()
		defer b.mu.Unlock()
		switch e := event.(type) {
		case *runtime.EventExceptionThrown:
			b.wrong = append(b.wrong, e.ExceptionDetails.Text)
		case *page.EventJavascriptDialogOpening:
			b.wrong = append(b.wrong, "a dialog: "+e.Message)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// pageHelpers are what the expressions of a test may use.
const pageHelpers = `
	const texts = (selector) => [...document.querySelectorAll(selector)].map((e) => e.textContent).join("|");
	const all = (selector, pattern) => texts(selector).split("|").every((text) => pattern.test(text));
`

// wait waits until an expression is true; it is looked at again whenever the page changes.
func (b *browser) wait(expression string) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, 4*time.Minute)
	defer cancel()
	_, err := chromedp.Run(ctx, chromedp.Evaluate[bool](`new Promise((resolve) => {`+pageHelpers+`
		const look = () => {
			if (!(`+expression+`)) return;
			observer.disconnect();
			resolve(true);
		};
		const observer = new MutationObserver(look);
		observer.observe(document, {subtree: true, childList: true, characterData: true, attributes: true});
		look();
	})`, chromedp.EvalAwaitPromise))
	if err != nil {
		b.t.Fatalf("wait for %s: %v\n%s", expression, err, b.seen())
	}
}

// text returns an expression's value.
func (b *browser) text(expression string) string {
	b.t.Helper()
	text, err := chromedp.Run(b.ctx, chromedp.Evaluate[string](`(() => {`+pageHelpers+` return `+expression+`; })()`))
	if err != nil {
		b.t.Fatalf("%s: %v", expression, err)
	}
	return text
}

// seen returns what the page shows, for a failure's message.
func (b *browser) seen() string {
	ctx, cancel := context.WithTimeout(b.ctx, 10*time.Second)
	defer cancel()
	text, err := chromedp.Run(ctx, chromedp.Evaluate[string](`document.body.innerText`))
	if err != nil {
		return err.Error()
	}
	return text
}

// quiet checks that no script has failed and nothing has asked for attention.
func (b *browser) quiet() {
	b.t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.wrong) > 0 {
		b.t.Errorf("in the browser: %s", strings.Join(b.wrong, "; "))
	}
}
