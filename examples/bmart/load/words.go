package load

import (
	"fmt"
	"math/rand/v2"
)

// The words have what real ones have: quotes, accents, several scripts, characters outside Unicode's first plane.
var (
	streets = []string{"Lindenstraße", "Rue de l'Église", "Mill Lane", "Calle Ñuñoa", "Ulica Łódzka", "Strada Română", "Odos Ermou", "桜通り", "King's Road", "Østergade"}
	shelves = []string{"Fruit & vegetables", "Dairy", "Bakery", "Drinks", "Sweets", "Frozen", "Household", "Baby's needs", "Breakfast", "Café"}
	kinds   = []string{"apples", "oat milk", "rye bread", "crème brûlée", "jalapeños", "Gruyère", "olives", "牛乳", "tea \"Earl Grey\"", "bananas 🍌", "tofu", "smørrebrød", "lentils", "Rosie's jam", "ice cream", "кефир"}
	makers  = []string{"Farm", "Hill's", "Nord", "Bio", "Casa", "Old Mill", "Zoë", "Daily", "100%", "L'Atelier"}
	notes   = []string{"today only", "new 🎉", "2 for 1", "from the region", "ripe, eat soon", "\"best of the year\"", "mind: nuts", ""}
)

func pick(r *rand.Rand, words []string) string { return words[r.IntN(len(words))] }

func catalogTitle(r *rand.Rand) string {
	return fmt.Sprintf("B-mart %s %d", pick(r, streets), 1+r.IntN(200))
}

func productName(r *rand.Rand) string {
	return fmt.Sprintf("%s %s %d g", pick(r, makers), pick(r, kinds), 50*(1+r.IntN(20)))
}

// note returns NULL for most products.
func note(r *rand.Rand) any {
	if r.IntN(3) > 0 {
		return nil
	}
	return pick(r, notes)
}

// price returns a decimal's text.
func price(r *rand.Rand) string { return fmt.Sprintf("%d.%02d", r.IntN(60), r.IntN(100)) }
