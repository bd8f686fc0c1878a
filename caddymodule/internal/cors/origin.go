package cors

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/net/idna"
)

// check refuses an origin (RFC 6454) that would never match: browsers send only the
// spelling of the URL standard (https://url.spec.whatwg.org/#host-serializing).
func check(written string) error {
	switch {
	case written == "*":
		return nil
	case strings.Contains(written, "@"): // not quoted: it may hold a password
		return errors.New("cors: an origin has no user name: write only the scheme and host, as in https://www.example.com")
	}
	sent, err := browserOrigin(written)
	if err != nil {
		return fmt.Errorf("cors: '%s' is not an origin that a browser would send: %w", written, err)
	}
	if sent != written {
		return fmt.Errorf("cors: write '%s' as browsers send it: %s", written, sent)
	}
	return nil
}

var errOriginForm = errors.New("an origin is a scheme and a host, with the port if it is not the scheme's own, as in https://www.example.com; * alone lets every origin read")

var (
	originScheme = regexp.MustCompile(`^[a-z][a-z0-9+.-]*$`)
	originHost   = regexp.MustCompile(`^[a-z0-9_-]{1,63}(?:\.[a-z0-9_-]{1,63})*\.?$`)
	// lastNumber matches hosts that the URL standard takes for IPv4 addresses.
	lastNumber = regexp.MustCompile(`(?:^|\.)(?:[0-9]+|0x[0-9a-f]*)\.?$`)
)

// noPage are schemes that give a page no origin. Those of apps and browser extensions,
// such as capacitor, do.
var noPage = []string{"ws", "wss", "ftp", "file", "data", "blob", "about", "javascript"}

// browserOrigin returns an origin as browsers send it.
func browserOrigin(written string) (sent string, err error) {
	scheme, rest, ok := strings.Cut(written, "://")
	scheme = strings.ToLower(scheme)
	switch {
	case written == "null":
		return "", errors.New("every sandboxed frame and local file sends null, so it would admit everyone: use * if that is intended")
	case strings.Contains(written, "*"):
		return "", errors.New("patterns are not supported: list each origin, or use * for all")
	case strings.ContainsAny(written, "{}"):
		return "", errors.New("placeholders are not replaced here: write the origin itself, or {$NAME}, which the Caddyfile replaces when it is read")
	case strings.ContainsAny(written, ", "):
		return "", errors.New("separate origins by spaces, without commas or quotes")
	case !ok:
		secure, err := browserOrigin("https://" + written)
		if err != nil || !strings.ContainsAny(written, ".:") || strings.HasPrefix(written, "http") {
			return "", errOriginForm
		}
		plain, _ := browserOrigin("http://" + written)
		return "", fmt.Errorf("the scheme is missing: %s or %s", secure, plain)
	case strings.Contains(rest, "://"):
		return "", errOriginForm
	case slices.Contains(noPage, scheme):
		return "", fmt.Errorf("pages have no origin at %s://: write that of the page which holds the script, as in https://www.example.com", scheme)
	case strings.HasPrefix(scheme, "ht") && scheme != "http" && scheme != "https", !originScheme.MatchString(scheme):
		return "", errOriginForm
	}
	if end := strings.IndexAny(rest, `/?#\`); end >= 0 {
		rest = rest[:end]
	}
	host, port := rest, ""
	if colon := strings.LastIndex(rest, ":"); colon > strings.LastIndex(rest, "]") {
		host, port = rest[:colon], rest[colon+1:]
	}
	if host, err = browserHost(host); err != nil {
		return "", err
	}
	if port, err = browserPort(scheme, port); err != nil {
		return "", err
	}
	return scheme + "://" + host + port, nil
}

// browserPort returns a port as an origin of the scheme has it, with its colon; "" for the
// scheme's default.
func browserPort(scheme, written string) (string, error) {
	if written == "" {
		return "", nil
	}
	n, err := strconv.ParseUint(written, 10, 16)
	if err != nil || n == 0 {
		return "", fmt.Errorf("'%s' is not a port (1 to 65535)", written)
	}
	if scheme == "http" && n == 80 || scheme == "https" && n == 443 {
		return "", nil
	}
	return ":" + strconv.FormatUint(n, 10), nil
}

// domainToASCII is as in the URL standard, section 3.3.
var domainToASCII = idna.New(idna.MapForLookup(), idna.BidiRule(), idna.CheckHyphens(false), idna.StrictDomainName(false))

// browserHost returns a host as browsers write it: domain names in lower case and punycode,
// addresses in their canonical form. Browsers keep a trailing dot.
func browserHost(written string) (string, error) {
	if strings.HasPrefix(written, "[") {
		return browserIPv6(written)
	}
	if strings.Contains(written, ":") {
		return "", errors.New("an IPv6 address goes in brackets, as in http://[::1]:8080")
	}
	host, err := url.PathUnescape(written)
	if err == nil {
		host, err = domainToASCII.ToASCII(host)
	}
	switch {
	case host == "":
		return "", errOriginForm
	case err != nil || !originHost.MatchString(host) || len(strings.TrimSuffix(host, ".")) > 253:
		return "", fmt.Errorf("'%s' is not a valid host", written)
	case lastNumber.MatchString(host):
		addr, err := netip.ParseAddr(strings.TrimSuffix(host, "."))
		if err != nil {
			return "", fmt.Errorf("'%s' is not an IPv4 address as browsers write it: four numbers from 0 to 255, without leading zeros", written)
		}
		return addr.String(), nil
	}
	return host, nil
}

func browserIPv6(written string) (string, error) {
	inner, closed := strings.CutSuffix(written[1:], "]")
	addr, err := netip.ParseAddr(inner)
	switch {
	case err != nil || !closed || !addr.Is6() || addr.Zone() != "":
		return "", fmt.Errorf("'%s' is not an IPv6 address that a URL can hold", written)
	case addr.Is4In6(): // browsers write those in hexadecimal, too
		b := addr.As16()
		return fmt.Sprintf("[::ffff:%x:%x]", uint16(b[12])<<8|uint16(b[13]), uint16(b[14])<<8|uint16(b[15])), nil
	}
	return "[" + addr.String() + "]", nil
}
