package demo

import (
	"strings"
	"testing"
)

func TestConfigReportsEverything(t *testing.T) {
	_, err := Config{DB: "oracle", Kafka: "rabbit", Sink: "paper", Break: "everything", Kills: -1, Addr: "0.0.0.0:80"}.withDefaults()
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{"DB=oracle: want mariadb, mysql", "KAFKA=rabbit", "SINK=paper", "BREAK=everything", "KILLS", "CHECK=1", "ADDR=0.0.0.0:80"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("error %q does not tell of %s", err, want)
		}
	}
}

func TestConfigAddr(t *testing.T) {
	for addr, want := range map[string]bool{"": true, "127.0.0.1:8080": true, "[::1]:0": true, "localhost:80": true, ":80": false, "10.0.0.1:80": false, "shop:80": false, "127.0.0.1": false} {
		if _, err := (Config{Addr: addr}).withDefaults(); (err == nil) != want {
			t.Errorf("ADDR=%s: error is %v", addr, err)
		}
	}
}

func TestConfigDefaults(t *testing.T) {
	c, err := Config{Check: true}.withDefaults()
	if err != nil {
		t.Fatal(err)
	}
	if c.DB != "mariadb" || c.Kafka != "embedded" || c.Sink != "memory" || c.Seed == 0 || c.Catalogs < 2000 || c.minChanges != 50_000 || c.minDocuments != 2_000 {
		t.Errorf("%+v", c)
	}
}

func TestTorn(t *testing.T) {
	for body, want := range map[string]string{
		`{"id":1,"title":"a","categories":[{"id":2,"products":[]}]}`: `{"id":1,"title":"a"}`,
		`{"id":1,"qty":2}`: `{"id":1}`,
		`{"id":1}`:         `{"id":1}`,
	} {
		if got := string(torn([]byte(body))); got != want {
			t.Errorf("torn(%s) is %s, want %s", body, got, want)
		}
	}
}
