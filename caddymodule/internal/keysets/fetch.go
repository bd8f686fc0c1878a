package keysets

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/chatidentity/caddy-chat-identity/verifier/keyset"
)

// fetchTimeout bounds one fetch. Nothing waits for it that long.
const fetchTimeout = 10 * time.Second

// parseURL accepts https URLs alone, without a user: what stands there would be logged.
func parseURL(text string) (*url.URL, error) {
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Host == "":
		return nil, errors.New("the key set's URL is not valid: write it as https://login.example.com/.well-known/jwks.json")
	case u.Scheme == "http":
		return nil, fmt.Errorf("the key set %s would be fetched without TLS, so that anybody on the way could add a key: use https", text)
	case u.Scheme != "https":
		return nil, fmt.Errorf("a key set is fetched by https, not by %s", u.Scheme)
	case u.User != nil:
		return nil, errors.New("the key set's URL has a user or password, which logs and the admin API would show: a key set is public")
	case strings.HasSuffix(strings.TrimSuffix(u.Path, "/"), "openid-configuration"):
		return nil, fmt.Errorf("%s is not the key set, but has its URL: write the jwks_uri that it names", text)
	}
	return u, nil
}

// readFile reads a set from a file.
func readFile(path string) func(context.Context) ([]byte, error) {
	return func(context.Context) ([]byte, error) {
		file, err := os.Open(path)
		if err != nil {
			return nil, err
		}
		defer file.Close()
		return io.ReadAll(io.LimitReader(file, keyset.MaxBytes+1))
	}
}

// fetcher fetches one URL.
type fetcher struct {
	url    *url.URL
	client http.Client
}

// newFetcher returns one that trusts these authorities, nil for the system's. It follows
// no redirect and uses no proxy, and does not connect to an address that only this machine
// or its cloud can reach: whoever may name a key set must not read what is there.
func newFetcher(target *url.URL, roots *x509.CertPool) *fetcher {
	dialer := &net.Dialer{Timeout: 5 * time.Second}
	if _, err := netip.ParseAddr(target.Hostname()); err != nil {
		dialer.Control = func(_, address string, _ syscall.RawConn) error { return checkAddress(address) }
	} // else an operator has written the address
	return &fetcher{url: target, client: http.Client{
		Timeout: fetchTimeout,
		Transport: &http.Transport{
			DialContext:            dialer.DialContext,
			TLSClientConfig:        &tls.Config{RootCAs: roots},
			TLSHandshakeTimeout:    5 * time.Second,
			DisableKeepAlives:      true, // there are minutes between two
			MaxResponseHeaderBytes: 64 << 10,
			ForceAttemptHTTP2:      true,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// metadata are addresses of clouds' metadata services that are not link-local: Alibaba
// Cloud's, and those of AWS by IPv6.
var metadata = []netip.Addr{netip.MustParseAddr("100.100.100.200"), netip.MustParseAddr("fd00:ec2::254")}

func checkAddress(address string) error {
	at, err := netip.ParseAddrPort(address)
	if err != nil {
		return err
	}
	ip := at.Addr().Unmap()
	if ip.IsLinkLocalUnicast() || ip.IsMulticast() || ip.IsUnspecified() {
		return fmt.Errorf("its name leads to %s, an address of this machine's own network segment: write the address into the URL if that is meant", ip)
	}
	for _, m := range metadata {
		if ip == m {
			return fmt.Errorf("its name leads to %s, a cloud's metadata service", ip)
		}
	}
	return nil
}

func (f *fetcher) fetch(ctx context.Context) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, f.url.String(), nil)
	if err != nil {
		return nil, err
	}
	request.Header.Set("Accept", "application/jwk-set+json, application/json")
	response, err := f.client.Do(request)
	if wrapped, ok := errors.AsType[*url.Error](err); ok {
		err = wrapped.Err // without the URL, which the message has
	}
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	switch {
	case response.StatusCode >= 300 && response.StatusCode < 400:
		return nil, fmt.Errorf("it answers with a redirect to %s, which is not followed: configure that URL", response.Header.Get("Location"))
	case response.StatusCode != http.StatusOK:
		return nil, fmt.Errorf("it answers with status %d", response.StatusCode)
	}
	return io.ReadAll(io.LimitReader(response.Body, keyset.MaxBytes+1))
}
