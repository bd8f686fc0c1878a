package command

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/adminapi"
)

// How long a command waits for an answer, and how much it reads of all answers.
const (
	connectLimit = 5 * time.Second
	answerLimit  = time.Minute
	writingLimit = 10 * time.Minute // if many records are written
	maxAnswers   = 512 << 20        // a list of a million widgets
)

const (
	adminPort   = 2019
	widgetsPath = adminapi.Path + "widgets"
)

// adminFlags are those of every command that asks a running gateway, or works on the store
// of a configuration.
type adminFlags struct {
	output
	address         string
	config, adapter string
	flags           *pflag.FlagSet
}

// add adds the flags of a command that needs the running gateway, and returns it.
func (f *adminFlags) add(cmd *cobra.Command) *cobra.Command {
	cmd.Flags().BoolVar(&f.json, "json", false, "Print the answer of the admin API as JSON")
	return f.addAddress(cmd)
}

// addStore adds the flags of a command that needs only the store.
func (f *adminFlags) addStore(cmd *cobra.Command) *cobra.Command { return f.addConfig(f.add(cmd)) }

func (f *adminFlags) addConfig(cmd *cobra.Command) *cobra.Command {
	cmd.Flags().StringVar(&f.config, "config", "", "Work on the store of this configuration file instead, without the gateway")
	cmd.Flags().StringVar(&f.adapter, "adapter", "", "The configuration file's format, such as caddyfile")
	return cmd
}

func (f *adminFlags) addAddress(cmd *cobra.Command) *cobra.Command {
	f.flags = cmd.Flags()
	// Caddy's own default, which packagers move with CADDY_ADMIN.
	cmd.Flags().StringVar(&f.address, "address", caddy.DefaultAdminListen,
		"Caddy's admin endpoint, such as unix//run/caddy-admin.sock")
	return cmd
}

// adminClient calls the admin API of one Caddy. Caddy's own client has no timeouts
// and prints an error's body unescaped.
type adminClient struct {
	address string // for messages
	origin  string
	unix    bool
	client  http.Client
	left    int64  // bytes that may still be read
	loss    string // why a list is not complete
	offline bool   // the command also works on the store of a configuration
}

func (f *adminFlags) client() (*adminClient, error) {
	if f.flags.Changed("config") || f.flags.Changed("adapter") {
		return f.storeClient()
	}
	c, err := clientAt(f.address)
	if err == nil {
		c.offline = f.flags.Lookup("config") != nil
	}
	return c, err
}

// clientAt calls the admin API at an address.
func clientAt(written string) (*adminClient, error) {
	written = cmp.Or(written, caddy.DefaultAdminListen)
	address, err := caddy.ParseNetworkAddressWithDefaults(written, "tcp", adminPort)
	if err == nil && address.PortRangeSize() != 1 {
		err = errors.New("several ports")
	}
	switch address.Network {
	case "tcp", "tcp4", "tcp6", "unix":
	default:
		err = errors.New("another network")
	}
	if err != nil || strings.Contains(written, "@") {
		return nil, errors.New("--address is not a valid admin endpoint: use localhost:2019, or unix//run/caddy-admin.sock for a unix socket")
	}
	c := &adminClient{address: plain(written), unix: address.IsUnixNetwork(), left: maxAnswers}
	target := address.Host
	if c.unix {
		target, _, _ = strings.Cut(target, "|") // the permissions with which the server creates it
		c.origin = "http://127.0.0.1"           // what Caddy allows on a unix socket
	} else {
		// As it is written, which is what the gateway is configured to expect.
		c.origin = "http://" + address.JoinHostPort(0)
		if address.Host == "" {
			address.Host = "localhost"
		}
		target = address.JoinHostPort(0)
	}
	dialer := net.Dialer{Timeout: connectLimit}
	c.client.Transport = &http.Transport{
		// No proxy either: requests and answers contain secrets.
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return dialer.DialContext(ctx, address.Network, target)
		},
		DisableKeepAlives:      true,
		DisableCompression:     true,
		MaxResponseHeaderBytes: 1 << 20,
	}
	c.client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return c, nil
}

// ask sends a command's only request. Once the answer is decoded, right reports
// whether it is one to that request.
func (f *adminFlags) ask(cmd *cobra.Command, r *apiRequest, to any, right func() bool) (json.RawMessage, error) {
	c, err := f.client()
	if err != nil {
		return nil, err
	}
	raw, _, err := c.ask(cmd.Context(), r, to)
	if err == nil && !right() {
		err = c.unexpectedAnswer(r)
	}
	return raw, err
}

// print asks, and prints the answer: as JSON with --json, and by text otherwise.
func (f *adminFlags) print(cmd *cobra.Command, r *apiRequest, to any, right func() bool, text func(io.Writer) error) error {
	raw, err := f.ask(cmd, r, to, right)
	if err != nil {
		return err
	}
	return f.output.print(cmd, raw, text)
}

// apiRequest is one request to the admin API.
type apiRequest struct {
	method, path string
	body         any           // sent as JSON unless nil
	limit        time.Duration // for the answer; default: answerLimit
	also         int           // a status of 400 or more with which the answer is one
	// lost says what to do if a request that changes something was sent but not
	// answered.
	lost string
}

func (r *apiRequest) unanswered(text string) error {
	if r.lost != "" {
		text += ". The change may have been made: " + r.lost
	}
	return errors.New(text)
}

// ask sends a request, decodes the answer and returns it undecoded as well. If
// there is nothing to decode into, the answer must be empty.
func (c *adminClient) ask(ctx context.Context, r *apiRequest, to any) (json.RawMessage, http.Header, error) {
	ctx, cancel := context.WithTimeout(ctx, cmp.Or(r.limit, answerLimit))
	defer cancel()
	var body io.Reader
	if r.body != nil {
		text, err := json.Marshal(r.body)
		if err != nil {
			return nil, nil, err
		}
		body = bytes.NewReader(text)
	}
	request, err := http.NewRequestWithContext(ctx, r.method, c.origin+r.path, body)
	if err != nil {
		return nil, nil, fmt.Errorf("--address: %s is not a valid address", c.address)
	}
	if body != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	if !c.unix {
		request.Header.Set("Origin", c.origin) // for enforce_origin, as Caddy's own commands do
	}
	response, err := c.client.Do(request)
	if err != nil {
		return nil, nil, c.failed(r, err)
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(response.Body, c.left+1))
	if err != nil {
		return nil, nil, c.failed(r, err)
	}
	if c.left -= int64(len(answer)); c.left < 0 {
		return nil, nil, r.unanswered(fmt.Sprintf("%s sent more than %d bytes", c.address, maxAnswers))
	}
	switch {
	case response.StatusCode >= 400 && (response.StatusCode != r.also || errorIn(answer) != ""):
		return nil, nil, c.refusal(r, response, answer)
	case response.StatusCode >= 300 && response.StatusCode < 400:
		return nil, nil, fmt.Errorf("%s answered with a redirect, which is not followed: is it Caddy's admin endpoint?", c.address)
	case to == nil && response.StatusCode == http.StatusNoContent:
		return nil, response.Header, nil
	case to == nil || json.Unmarshal(answer, to) != nil:
		return nil, nil, c.unexpectedAnswer(r)
	}
	return answer, response.Header, nil
}

// unexpectedAnswer is the error for an answer that the API never sends.
func (c *adminClient) unexpectedAnswer(r *apiRequest) error {
	return r.unanswered(fmt.Sprintf("%s did not answer like the chat_identity API: is it Caddy's admin endpoint, and does that Caddy have this version of the module?", c.address))
}

// failed is the error for a connection that failed or broke.
func (c *adminClient) failed(r *apiRequest, err error) error {
	if wrapped, ok := errors.AsType[*url.Error](err); ok {
		err = wrapped.Err
	}
	if op, ok := errors.AsType[*net.OpError](err); ok && op.Op == "dial" {
		if errors.Is(err, fs.ErrPermission) {
			return fmt.Errorf("permission denied at %s: run the command as a user who may connect to it", c.address)
		}
		off := adminSocket
		if c.offline {
			off = "then work on its store, with --config"
		}
		return fmt.Errorf("no Caddy answers at %s (%s): is it running? Its admin endpoint may be elsewhere (--address), or off: %s", c.address, plain(op.Err.Error()), off)
	}
	if timeout, ok := errors.AsType[net.Error](err); ok && timeout.Timeout() || errors.Is(err, os.ErrDeadlineExceeded) {
		return r.unanswered(fmt.Sprintf("Caddy at %s did not answer in time", c.address))
	}
	return r.unanswered(fmt.Sprintf("the answer of %s was incomplete (%s): is it Caddy's admin endpoint?", c.address, plain(err.Error())))
}

// errorIn returns the server's own message in the answer, "" if there is none.
func errorIn(answer []byte) string {
	var said struct {
		Error string `json:"error"`
	}
	_ = json.Unmarshal(answer, &said)
	return said.Error
}

// refusal is the error for a status of 400 or more: the API's own message, or that of
// another server, as such.
func (c *adminClient) refusal(r *apiRequest, response *http.Response, body []byte) error {
	status, text := response.StatusCode, plain(errorIn(body))
	switch {
	case text != "" && response.Header.Get("Cross-Origin-Resource-Policy") != "": // which the API always sends
		return errors.New(text)
	case text != "":
		return fmt.Errorf("%s answered with status %d (%s): is it Caddy's admin endpoint, and may it be asked from here?", c.address, status, text)
	case status == http.StatusNotFound:
		return fmt.Errorf("the Caddy at %s does not have this call: it was built without this module or with an older version of it, or its configuration does not use it", c.address)
	case status >= 500:
		return r.unanswered(fmt.Sprintf("%s answered with status %d and no reason: see its log", c.address, status))
	}
	return fmt.Errorf("%s answered with status %d and no reason: is it Caddy's admin endpoint?", c.address, status)
}
