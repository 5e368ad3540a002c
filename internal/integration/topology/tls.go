package topology

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"github.com/millrace-go/millrace/cdc"
	"github.com/millrace-go/millrace/cdc/binlog"
	"github.com/millrace-go/millrace/eventstore"
	"github.com/millrace-go/millrace/internal/integration/servers"
	"github.com/millrace-go/millrace/internal/integration/supervise"
)

// RunTLS lets the certificate of a server expire while a relay is connected, by the relay's clock, cuts the connection, and renews the
// certificate on the running server: the relay must say that it has expired, and go on with the new one by itself.
func RunTLS(ctx context.Context, cfg Config) (err error) {
	dir, err := os.MkdirTemp("", "topology")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if err := os.Chmod(dir, 0o755); err != nil {
		return err
	}
	ca, err := newAuthority(dir)
	if err != nil {
		return err
	}
	if err := ca.issue(time.Hour); err != nil {
		return err
	}
	c, err := startCluster(ctx, cfg.Kind, 1, cfg.Logf, "--ssl-ca="+ca.path("ca.pem"), "--ssl-cert="+ca.path("cert.pem"), "--ssl-key="+ca.path("key.pem"))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.close()) }()
	if err := c.primary.exec(ctx, "CREATE DATABASE shop", "CREATE TABLE shop.a (id INT PRIMARY KEY)", "INSERT INTO shop.a VALUES (1)"); err != nil {
		return err
	}
	var ahead atomic.Int64 // the relay's clock
	source, err := binlog.New(binlog.Config{Addr: c.primary.proxy.Addr(), User: servers.CDCUser, Password: servers.CDCPassword,
		Filter: cdc.Filter{Include: []string{"shop.*"}}, TLS: &tls.Config{RootCAs: ca.roots, MinVersion: tls.VersionTLS12,
			Time: func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }}})
	if err != nil {
		return err
	}
	log := eventstore.NewMemoryLog()
	var pulse supervise.Pulse
	var expired atomic.Bool
	relay, err := cdc.NewRelay(cdc.Config{Source: source, Log: log, Hooks: cdc.Hooks{
		Flushed: func(cdc.FlushInfo) { pulse.Beat() },
		Retrying: func(i cdc.RetryInfo) {
			cfg.Logf("relay begins again: %v", i.Err)
			if strings.Contains(i.Err.Error(), "expired") {
				expired.Store(true)
			}
			pulse.Beat()
		},
	}})
	if err != nil {
		return err
	}
	running, stop := context.WithCancel(ctx)
	defer stop()
	ended := make(chan error, 1)
	go func() { ended <- relay.Run(running) }()
	await := func(done func() (bool, error)) error {
		for {
			changed := pulse.Next()
			if ok, err := done(); ok || err != nil {
				return err
			}
			select {
			case <-changed:
			case err := <-ended:
				return fmt.Errorf("the relay ended: %w", err)
			case <-ctx.Done():
				return ctx.Err()
			}
		}
	}
	arrived := func() error {
		set, err := c.executed(ctx, c.primary)
		if err != nil {
			return err
		}
		return await(func() (bool, error) {
			head, found, err := log.Head(ctx)
			if err != nil || !found {
				return false, err
			}
			return head.Position.Covers(set)
		})
	}
	if err := arrived(); err != nil {
		return err
	}
	ahead.Store(int64(2 * time.Hour))
	c.primary.proxy.Cut()
	if err := await(func() (bool, error) { return expired.Load(), nil }); err != nil {
		return err
	}
	reload := "ALTER INSTANCE RELOAD TLS"
	if cfg.Kind == servers.MariaDB {
		reload = "FLUSH SSL"
	}
	if err := ca.issue(24 * time.Hour); err != nil {
		return err
	}
	if err := c.primary.exec(ctx, "INSERT INTO shop.a VALUES (2)", reload); err != nil {
		return err
	}
	if err := arrived(); err != nil {
		return err
	}
	stop()
	return <-ended
}

// authority issues the server's certificates.
type authority struct {
	dir   string
	cert  *x509.Certificate
	key   *ecdsa.PrivateKey
	roots *x509.CertPool
	count int64
}

func newAuthority(dir string) (*authority, error) {
	a := &authority{dir: dir, roots: x509.NewCertPool()}
	var err error
	if a.key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		return nil, err
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "authority"}, NotBefore: time.Now().Add(-time.Hour),
		NotAfter: time.Now().Add(1000 * time.Hour), IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &a.key.PublicKey, a.key)
	if err != nil {
		return nil, err
	}
	if a.cert, err = x509.ParseCertificate(der); err != nil {
		return nil, err
	}
	a.roots.AddCert(a.cert)
	return a, a.write("ca.pem", "CERTIFICATE", der)
}

func (a *authority) path(name string) string { return filepath.Join(a.dir, name) }

func (a *authority) write(name, kind string, der []byte) error {
	return os.WriteFile(a.path(name), pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o644)
}

// issue writes a certificate for 127.0.0.1.
func (a *authority) issue(valid time.Duration) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	a.count++
	template := &x509.Certificate{SerialNumber: big.NewInt(1 + a.count), Subject: pkix.Name{CommonName: "server"}, NotBefore: time.Now().Add(-time.Hour),
		NotAfter: time.Now().Add(valid), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, &key.PublicKey, a.key)
	if err != nil {
		return err
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	return errors.Join(a.write("cert.pem", "CERTIFICATE", der), a.write("key.pem", "PRIVATE KEY", keyDER))
}
