package kafkalog

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"math/big"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/segmentio/kafka-go/sasl/plain"
	"github.com/segmentio/kafka-go/sasl/scram"
	"github.com/twmb/franz-go/pkg/kfake"

	"github.com/millrace-go/millrace/eventstore"
	"github.com/millrace-go/millrace/eventstore/kafkalog"
	"github.com/millrace-go/millrace/internal/integration/servers"
)

// connecting returns a log with its own connections, as a user has it.
func connecting(t *testing.T, cfg kafkalog.Config) *kafkalog.Log {
	t.Helper()
	cfg.Pipeline, cfg.MaxMessageBytes = pipeline(), maxMessageBytes
	return open(t, cfg)
}

// wantHeadError wants Head, which every start asks first, to say in one error what is wrong.
func wantHeadError(t *testing.T, log *kafkalog.Log, passes bool, texts ...string) {
	t.Helper()
	_, _, err := log.Head(t.Context())
	if err == nil {
		t.Fatal("head: no error")
	}
	if got := errors.Is(err, eventstore.ErrUnavailable); got != passes {
		t.Errorf("wraps ErrUnavailable: %v, want %v: %v", got, passes, err)
	}
	for _, text := range texts {
		if !strings.Contains(err.Error(), text) {
			t.Errorf("%q is not in: %v", text, err)
		}
	}
}

// listen returns a listener whose connections are served by serve.
func listen(t *testing.T, serve func(net.Conn)) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			serve(c)
			c.Close()
		}
	}()
	t.Cleanup(func() { l.Close(); <-done })
	return l
}

func TestNobodyListens(t *testing.T) {
	l := listen(t, func(net.Conn) {})
	addr := l.Addr().String()
	l.Close()
	log := connecting(t, kafkalog.Config{Brokers: []string{addr}})
	wantHeadError(t, log, true, addr, "connection refused")

	// Begin waits for a broker that may come, and says why when it is told to stop.
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := log.Begin(ctx); !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "connection refused") {
		t.Errorf("begin: %v, want the end of its context and its cause", err)
	}
}

func TestAnotherServiceListens(t *testing.T) {
	l := listen(t, func(c net.Conn) { c.Write([]byte("HTTP/1.1 400 Bad Request\r\n\r\n")) })
	wantHeadError(t, connecting(t, kafkalog.Config{Brokers: []string{l.Addr().String()}}), false, l.Addr().String(), "not Kafka")
}

func TestWrongPassword(t *testing.T) {
	addrs := []string{saslBroker(t)}
	right := connecting(t, kafkalog.Config{Brokers: addrs, SASL: plain.Mechanism{Username: "relay", Password: "secret-1"}})
	mark(t, begin(t, right), 0)

	wrong := connecting(t, kafkalog.Config{Brokers: addrs, SASL: plain.Mechanism{Username: "relay", Password: "secret-2"}})
	wantHeadError(t, wrong, false, addrs[0], "Authentication Failed", "Config.SASL")
	if _, err := wrong.Begin(t.Context()); err == nil || strings.Contains(err.Error(), "secret") {
		t.Errorf("begin: %v, want an error without the password", err)
	}
	for _, err := range wrong.Cuts(t.Context(), eventstore.CutOptions{}) {
		if err == nil || errors.Is(err, eventstore.ErrUnavailable) {
			t.Errorf("cuts: %v, want an error that does not pass", err)
		}
	}

	none := connecting(t, kafkalog.Config{Brokers: addrs})
	wantHeadError(t, none, true, addrs[0])
	scrammed, err := scram.Mechanism(scram.SHA256, "relay", "secret-1")
	if err != nil {
		t.Fatal(err)
	}
	wantHeadError(t, connecting(t, kafkalog.Config{Brokers: addrs, SASL: scrammed}), false, addrs[0], "Unsupported SASL Mechanism")
}

// saslBroker starts a broker of its own with a second listener that wants a password, and returns that one's address.
func saslBroker(t *testing.T) string {
	t.Helper()
	port := threePorts(t)
	listeners := fmt.Sprintf("PLAINTEXT://127.0.0.1:%d,CONTROLLER://127.0.0.1:%d,SASL_PLAINTEXT://127.0.0.1:%d", port, port+1, port+2)
	s, err := servers.Start(t.Context(), servers.Kafka, servers.Options{Port: port, Logf: t.Logf, Args: []string{
		"listeners=" + listeners,
		"advertised.listeners=" + listeners,
		"listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SASL_PLAINTEXT:SASL_PLAINTEXT",
		"sasl.enabled.mechanisms=PLAIN",
		`listener.name.sasl_plaintext.plain.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required user_relay="secret-1";`,
	}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return fmt.Sprintf("127.0.0.1:%d", port+2)
}

// threePorts returns the first of three free ports in a row.
func threePorts(t *testing.T) int {
	t.Helper()
	for range 100 {
		first, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		port := first.Addr().(*net.TCPAddr).Port
		second, err2 := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port+1))
		third, err3 := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port+2))
		for _, l := range []net.Listener{first, second, third} {
			if l != nil {
				l.Close()
			}
		}
		if err2 == nil && err3 == nil {
			return port
		}
	}
	t.Fatal("no three free ports in a row")
	return 0
}

func TestTLS(t *testing.T) {
	cert, roots := certificate(t)
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.TLS(&tls.Config{Certificates: []tls.Certificate{cert}}))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	addrs := cluster.ListenAddrs()

	right := connecting(t, kafkalog.Config{Brokers: addrs, TLS: &tls.Config{RootCAs: roots}})
	w := begin(t, right)
	mark(t, w, 0)
	if err := w.Append(t.Context(), everywhere(1)); err != nil {
		t.Fatal(err)
	}
	mark(t, w, 1)
	if got, want := readAll(t, right, 0, 1), len(everywhere(1).Records); got != want {
		t.Errorf("read %d records, want %d", got, want)
	}

	wantHeadError(t, connecting(t, kafkalog.Config{Brokers: addrs, TLS: &tls.Config{}}), false, addrs[0], "certificate signed by unknown authority")
	wantHeadError(t, connecting(t, kafkalog.Config{Brokers: addrs}), true, addrs[0])
}

// certificate returns a self-signed one for 127.0.0.1.
func certificate(t *testing.T) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(parsed)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, roots
}
