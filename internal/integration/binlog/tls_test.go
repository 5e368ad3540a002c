package binlog

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/millrace-go/millrace/cdc"
	"github.com/millrace-go/millrace/cdc/binlog"
	"github.com/millrace-go/millrace/internal/integration/servers"
)

// TestTLS: a server that takes encrypted connections only is followed with its certificate verified; one that cannot be verified, or none
// where there should be one, is an error that does not pass.
func TestTLS(t *testing.T) {
	onEach(t, func(t *testing.T, kind servers.Kind) {
		cert, key, roots := certificate(t)
		server := private(t, kind, "--ssl-cert="+cert, "--ssl-key="+key, "--ssl-ca="+cert)
		d := open(t, server.Address(), "encrypted")
		d.exec(t, "CREATE TABLE a (id INT PRIMARY KEY)")
		from := d.executed(t)
		d.exec(t, "INSERT INTO a VALUES (1)")
		until := d.executed(t)
		d.SetMaxOpenConns(1)
		d.exec(t, "SET GLOBAL require_secure_transport = 1")
		trusted := func(c *binlog.Config) { c.TLS = &tls.Config{RootCAs: roots} }
		src := d.source(t, trusted)
		if err := src.Check(t.Context()); err != nil {
			t.Error(err)
		}
		if got := changes(read(t, src, from, until)); len(got) != 1 {
			t.Errorf("got %v", got)
		}
		for text, tlsConfig := range map[string]*tls.Config{
			"Config.TLS":               nil,
			"certificate signed by":    {},
			"certificate is not valid": {RootCAs: roots, ServerName: "another.example"},
		} {
			err := d.source(t, func(c *binlog.Config) { c.TLS = tlsConfig }).Check(t.Context())
			if err == nil || !strings.Contains(err.Error(), text) || errors.Is(err, cdc.ErrUnavailable) {
				t.Errorf("got %v, want %q", err, text)
			}
		}
	})
}

// certificate writes a certificate for 127.0.0.1 that signs itself, readable for the server.
func certificate(t *testing.T) (cert, key string, roots *x509.CertPool) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"}, NotBefore: time.Now().Add(-time.Hour),
		NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	write := func(name, kind string, der []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	roots = x509.NewCertPool()
	roots.AddCert(parsed)
	return write("cert.pem", "CERTIFICATE", der), write("key.pem", "PRIVATE KEY", keyDER), roots
}
