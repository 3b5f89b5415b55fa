package layer

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
)

// maxSource bounds a source distribution in bytes.
const maxSource = 100 << 20

// download fetches a source distribution and checks its digest.
func (in installer) download(ctx context.Context, src source, to string) error {
	away := func(err error) error {
		if cause := context.Cause(ctx); cause != nil {
			return cause
		}
		return operatorError(TypeIndexUnavailable, "The source of %s could not be fetched from the package index (%v). Try again in a few minutes; the operator has to look at the way to the index if it stays so.", src, err)
	}
	client, err := in.client()
	if err != nil {
		return err
	}
	request, err := in.request(ctx, src.url)
	if err != nil {
		return away(errors.New("its address is not valid"))
	}
	resp, err := client.Do(request)
	if err != nil {
		return away(errors.New("no answer")) // the error quotes the address
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return away(fmt.Errorf("status %d", resp.StatusCode))
	}
	f, err := os.Create(to)
	if err != nil {
		return fmt.Errorf("keep source: %w", err)
	}
	sum := sha256.New()
	n, err := io.Copy(io.MultiWriter(f, sum), io.LimitReader(resp.Body, maxSource+1))
	closing := f.Close()
	switch got := hex.EncodeToString(sum.Sum(nil)); {
	case err != nil:
		return away(errors.New("the answer broke off"))
	case closing != nil:
		return fmt.Errorf("keep source: %w", closing)
	case n > maxSource:
		return authorError(TypeEnvTooLarge, "The source of %s is larger than %s: choose a version that has a wheel.", src, megabytes(maxSource))
	case src.sha256 != "" && got != src.sha256:
		return hashMismatch([]string{"", src.String(), ""})
	}
	return nil
}

// client trusts the authorities that the installer is told to trust.
func (in installer) client() (*http.Client, error) {
	file := in.index.env["SSL_CERT_FILE"]
	if file == "" {
		return http.DefaultClient, nil
	}
	pem, err := os.ReadFile(filepath.Clean(file))
	if err != nil {
		return nil, fmt.Errorf("read SSL_CERT_FILE: %w", err)
	}
	trusted := x509.NewCertPool()
	trusted.AppendCertsFromPEM(pem)
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.TLSClientConfig = &tls.Config{RootCAs: trusted}
	return &http.Client{Transport: transport}, nil
}

// request has the credentials of the index of the same host.
func (in installer) request(ctx context.Context, address string) (*http.Request, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, err
	}
	for _, index := range in.index.urls() {
		u, err := url.Parse(indexName.ReplaceAllString(index, ""))
		if err == nil && u.User != nil && u.Host == request.URL.Host && u.Scheme == request.URL.Scheme {
			password, _ := u.User.Password()
			request.SetBasicAuth(u.User.Username(), password)
		}
	}
	return request, nil
}
