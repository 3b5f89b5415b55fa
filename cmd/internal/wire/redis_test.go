package wire

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/scriptfleet/scriptfleet/pkg/config"
	"github.com/scriptfleet/scriptfleet/pkg/fleettest/redistest"
)

// opened is a fleet with nothing but its Redis.
func opened(t *testing.T, url, ca string) (*Fleet, error) {
	f := &Fleet{Settings: config.Fleet{Named: config.Named{Prefix: "scriptfleet"}, Redis: config.Redis{RedisURL: url, RedisCA: ca}}}
	t.Cleanup(f.Close)
	return f, f.openRedis()
}

func tried(t *testing.T, url, ca string) error {
	t.Helper()
	f, err := opened(t, url, ca)
	if err != nil {
		return err
	}
	return f.redisProbe().Try(t.Context())
}

func TestEveryKindOfAddressInTheManualWorks(t *testing.T) {
	ca, cert, key := certificate(t)
	tls := freePort(t)
	s := redistest.Start(t, "--tls-port", tls, "--tls-cert-file", cert, "--tls-key-file", key, "--tls-auth-clients", "no", "--tls-ca-cert-file", ca)
	redistest.AsFleet(t, s, "scriptfleet") // fleet:secret
	s.Do("ACL", "SETUSER", "odd", "on", ">p%/@s", "~*", "&*", "+@all")
	s.Do("CONFIG", "SET", "requirepass", "pass")
	encrypted := "127.0.0.1:" + tls
	for url, ca := range map[string]string{
		"redis://:pass@" + s.Addr + "/0":            "",
		"redis://:pass@" + s.Addr:                   "",
		"redis://fleet:secret@" + s.Addr + "/0":     "",
		"redis://fleet:secret@" + s.Addr + "/9":     "",
		"redis://odd:p%25%2F%40s@" + s.Addr + "/0":  "",
		"rediss://:pass@" + encrypted + "/0":        ca,
		"rediss://fleet:secret@" + encrypted + "/3": ca,
	} {
		if err := tried(t, url, ca); err != nil {
			t.Errorf("%s: %v", url, err)
		}
	}
	for _, c := range []struct{ url, ca, says string }{
		{"redis://:wrong@" + s.Addr + "/0", "", "refuses the user or the password"},
		{"redis://" + s.Addr + "/0", "", "refuses the user or the password"},
		{"redis://:pass@" + s.Addr + "/99", "", "does not have the database"},
		{"rediss://:pass@" + encrypted + "/0", "", "unknown authority"},
		{"redis://:pass@" + s.Addr + "/0", ca, "is not encrypted: use rediss://"},
		{"rediss://:pass@" + encrypted + "/0", ca + ".missing", "read --redis-ca"},
		{"rediss://:pass@" + encrypted + "/0", key, "holds no certificate"},
		{"redis+sentinel://" + s.Addr + "/primary", "", "Sentinel"},
	} {
		if err := tried(t, c.url, c.ca); err == nil || !strings.Contains(err.Error(), c.says) || strings.Contains(err.Error(), "pass@") {
			t.Errorf("%s with %q: %v, want: %s", c.url, filepath.Base(c.ca), err, c.says)
		}
	}
}

// certificate makes an authority's certificate, which is a server's as well, and
// its key, as files.
func certificate(t *testing.T) (ca, cert, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "redis"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
	}
	signed, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	write := func(name, kind string, der []byte) string {
		path := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	cert = write("redis.crt", "CERTIFICATE", signed)
	return cert, cert, write("redis.key", "PRIVATE KEY", secret)
}

func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	return port
}
