package binlog

import "testing"

func TestGrants(t *testing.T) {
	for _, tt := range []struct {
		lines   []string
		pattern string
		want    bool
	}{
		{nil, "shop.*", false},
		{[]string{"GRANT USAGE ON *.* TO `a`@`%`"}, "shop.*", false},
		{[]string{"GRANT SELECT, RELOAD ON *.* TO `a`@`%`"}, "shop.*", true},
		{[]string{"GRANT ALL PRIVILEGES ON *.* TO `a`@`%` WITH GRANT OPTION"}, "*.*", true},
		{[]string{"GRANT SELECT ON `shop`.* TO `a`@`%`"}, "shop.*", true},
		{[]string{"GRANT SELECT ON `shop`.* TO `a`@`%`"}, "shop.stock", true},
		{[]string{"GRANT SELECT ON `shop`.* TO `a`@`%`"}, "shop2.*", false},
		{[]string{"GRANT SELECT ON `shop`.* TO `a`@`%`"}, "*.*", false},
		{[]string{"GRANT INSERT ON `shop`.* TO `a`@`%`"}, "shop.*", false},
		{[]string{"GRANT SELECT ON `sh%`.* TO `a`@`%`"}, "shop.*", true},
		{[]string{"GRANT SELECT ON `sh\\_p`.* TO `a`@`%`"}, "shop.*", false},
		{[]string{"GRANT SELECT ON `sh\\_p`.* TO `a`@`%`"}, "sh_p.*", true},
		{[]string{"GRANT SELECT ON `shop`.`stock` TO `a`@`%`"}, "shop.stock", true},
		{[]string{"GRANT SELECT ON `shop`.`stock` TO `a`@`%`"}, "shop.*", false},
		{[]string{"GRANT SELECT (`id`) ON `shop`.`stock` TO `a`@`%`"}, "shop.stock", false},
		{[]string{"GRANT `role`@`%` TO `a`@`%`"}, "shop.*", false},
	} {
		g := grants{}
		for _, line := range tt.lines {
			g.parseGrant(line)
		}
		if got := g.selects(tt.pattern); got != tt.want {
			t.Errorf("%q select on %s: got %v, want %v", tt.lines, tt.pattern, got, tt.want)
		}
	}
	g := grants{}
	g.parseGrant("GRANT SELECT, REPLICATION SLAVE, BINLOG MONITOR ON *.* TO `cdc`@`%` IDENTIFIED BY PASSWORD '*11'")
	if !g.on("*.*", "REPLICATION SLAVE") || !g.on("*.*", "X", "BINLOG MONITOR") || g.on("*.*", "SUPER") {
		t.Errorf("got %v", g)
	}
}

func TestForeignKeyRules(t *testing.T) {
	for line, want := range map[string]int{
		"  CONSTRAINT `a` FOREIGN KEY (`p`) REFERENCES `p` (`id`)":                                          0,
		"  CONSTRAINT `a` FOREIGN KEY (`p`) REFERENCES `p` (`id`) ON DELETE CASCADE":                        1,
		"  CONSTRAINT `a` FOREIGN KEY (`p`) REFERENCES `p` (`id`) ON DELETE SET NULL ON UPDATE SET DEFAULT": 2,
		"  CONSTRAINT `a` FOREIGN KEY (`p`) REFERENCES `p` (`id`) ON DELETE NO ACTION ON UPDATE CASCADE,":   1,
		"  CONSTRAINT `a` CHECK (json_valid(`v`))":                                                          0,
		"  `t` timestamp ON UPDATE current_timestamp()":                                                     0,
	} {
		if _, rules := foreignKeyRules(line); len(rules) != want {
			t.Errorf("%s: got %v, want %d rules", line, rules, want)
		}
	}
}
