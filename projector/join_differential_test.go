package projector_test

import (
	"fmt"
	"testing"

	"github.com/millrace-go/millrace/projector"
	"github.com/millrace-go/millrace/projector/projectortest"
)

// spreadAlways has every change that concerns more than one document spread, and remembers hardly anything of the local state.
func spreadAlways[R any, K comparable, D any](j projector.Join[R, K, D]) projector.Join[R, K, D] {
	j.SpreadAbove, j.CacheBytes = 1, 1_000
	return j
}

// TestJoinDifferential: incremental = full recompute, for each document ever written.
func TestJoinDifferential(t *testing.T) {
	shop := []projectortest.RandomTable{jCatalogs, jCategories, jProducts, jStocks}
	orders := []projectortest.RandomTable{jCustomers, jOrders, jItems, jArticles, jTaggeds, jTags, jSettings}
	for _, c := range []struct {
		name   string
		join   projectortest.JoinUnderTest
		tables []projectortest.RandomTable
	}{
		{"shop", jHomes(), shop},
		{"shop-spread", spreadAlways(jHomes()), shop},
		{"shop-plain", jPlainHomes(), shop},
		{"orders", jOrderDocs(), orders},
		{"orders-spread", spreadAlways(jOrderDocs()), orders},
		{"trees", jTrees(), []projectortest.RandomTable{jNodes}},
		{"trees-spread", spreadAlways(jTrees()), []projectortest.RandomTable{jNodes}},
		{"circles", jCircles(), []projectortest.RandomTable{jNodes}},
		{"circles-spread", spreadAlways(jCircles()), []projectortest.RandomTable{jNodes}},
	} {
		for seed := range uint64(3) {
			t.Run(fmt.Sprint(c.name, "-", seed), func(t *testing.T) {
				bubble(t, func(t *testing.T) { projectortest.Differential(t, c.join, 1_000, seed, c.tables...) })
			})
		}
	}
}
