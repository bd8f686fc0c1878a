package command

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/secrettext"
	"github.com/chatidentity/caddy-chat-identity/verifier"
)

// signingSecret returns the secret from the environment or from all of standard
// input, without a trailing newline.
func signingSecret(cmd *cobra.Command) (verifier.Secret, error) {
	text, from, err := given(cmd, secretVariable, "the secret")
	if err == nil && from != secretVariable && strings.Contains(text, "\n") {
		err = errors.New("standard input has several lines: pass only the secret")
	}
	if err != nil {
		return verifier.Secret{}, err
	}
	return weakSecret(cmd, text)
}

// given returns what an environment variable has, or all of standard input without a
// trailing newline if it is not set, and which of the two.
func given(cmd *cobra.Command, variable, wanted string) (text, from string, err error) {
	if text, ok := os.LookupEnv(variable); ok {
		return text, variable, nil
	}
	input, err := standardInput(cmd, wanted)
	return trimNewline(string(input)), "standard input", err
}

// explainInput returns the secret and the claim. If the environment has no secret,
// it is the first line.
func explainInput(cmd *cobra.Command) (verifier.Secret, []byte, error) {
	text, ok := os.LookupEnv(secretVariable)
	wanted := "the claim as JSON or a form's body"
	if !ok {
		wanted = "the secret on one line, then the claim as JSON or a form's body"
	}
	document, err := standardInput(cmd, wanted)
	if err != nil {
		return verifier.Secret{}, nil, err
	}
	if !ok {
		first, rest, _ := bytes.Cut(document, []byte("\n"))
		if json.Valid(document) && bytes.HasPrefix(bytes.TrimSpace(document), []byte("{")) || aToken.Match(document) && len(bytes.TrimSpace(rest)) == 0 ||
			aHeader.Match(first) && bytes.Contains(first, []byte(": ")) || aRequestLine.Match(first) || aURL.Match(first) || aCurl.Match(first) || sentLine.Match(first) || bytes.HasPrefix(first, []byte("* ")) {
			return verifier.Secret{}, nil, fmt.Errorf("standard input contains only the claim: "+
				"set %s to the secret, or put the secret on a line before the claim", secretVariable)
		}
		text, document = trimNewline(string(first)), rest
	}
	if strings.HasPrefix(strings.TrimSpace(text), "-----BEGIN") {
		return verifier.Secret{}, nil, errors.New("the secret is a key in PEM: pass the file of the public key with --public-key")
	}
	if len(bytes.TrimSpace(document)) == 0 {
		return verifier.Secret{}, nil, errors.New("no claim on standard input: pass it as JSON, or as the body of a form")
	}
	secret, err := weakSecret(cmd, text)
	return secret, document, err
}

// standardInput reads standard input to its end. On a terminal, it says what it is
// waiting for.
func standardInput(cmd *cobra.Command, wanted string) ([]byte, error) {
	if onTerminal(cmd) {
		fmt.Fprintf(cmd.ErrOrStderr(), "Reading %s from the terminal; end with Ctrl-D.\n", wanted)
	}
	input, err := io.ReadAll(io.LimitReader(cmd.InOrStdin(), maxInput+1))
	if err != nil {
		return nil, fmt.Errorf("standard input: %w", err)
	}
	if len(input) > maxInput {
		return nil, fmt.Errorf("standard input is larger than %d bytes", maxInput)
	}
	return input, nil
}

// onTerminal reports whether standard input is a terminal.
func onTerminal(cmd *cobra.Command) bool {
	file, ok := cmd.InOrStdin().(*os.File)
	return ok && term.IsTerminal(int(file.Fd()))
}

// confirm asks a question if standard input is a terminal. A script is not asked.
func confirm(cmd *cobra.Command, question string) error {
	if !onTerminal(cmd) {
		return nil
	}
	cmd.PrintErr(question + " [y/N] ")
	answer, err := bufio.NewReader(io.LimitReader(cmd.InOrStdin(), maxPlain)).ReadString('\n')
	switch strings.ToLower(strings.TrimSpace(answer)) {
	case "y", "yes":
		return nil
	}
	if err != nil {
		cmd.PrintErrln()
	}
	return errors.New("nothing was changed, since the answer was not yes")
}

func trimNewline(text string) string {
	return strings.TrimSuffix(strings.TrimSuffix(text, "\n"), "\r")
}

// weakSecret accepts every secret that is not empty, and warns about those that
// gateways refuse.
func weakSecret(cmd *cobra.Command, text string) (verifier.Secret, error) {
	_, err := verifier.NewSecret(text)
	switch {
	case errors.Is(err, verifier.ErrSecretEmpty):
		return verifier.Secret{}, fmt.Errorf("the secret is empty: set %s, or pass it on standard input", secretVariable)
	case errors.Is(err, verifier.ErrSecretShort):
		fmt.Fprintf(cmd.ErrOrStderr(), "Warning: the secret is shorter than %d bytes, so gateways refuse it: generate one with keygen.\n", verifier.MinSecret)
	}
	if err := secrettext.CheckReplaced(text); err != nil {
		fmt.Fprintf(cmd.ErrOrStderr(), "Warning: a gateway refuses this secret: %v.\n", err)
	} else if err := secrettext.Check(text); err != nil {
		fmt.Fprintf(cmd.ErrOrStderr(), "Warning: a gateway refuses this secret in a file, but takes it as it is from a variable: %v.\n", err)
	} else if err := secrettext.Doubt(text); err != nil {
		fmt.Fprintf(cmd.ErrOrStderr(), "Warning: %v.\n", err)
	}
	return verifier.WeakSecret(text), nil
}
