package caddymodule

import (
	"fmt"
	"os"
	"strings"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/secrettext"
	"github.com/chatidentity/caddy-chat-identity/verifier"
)

// resolveSecret returns the secret that a configuration names. A value that is
// one {env.X} or {file.X} as a whole is looked up; any other is the secret
// itself, braces included, since a secret may hold any character.
func resolveSecret(written string) (secret verifier.Secret, literal bool, err error) {
	text, literal, err := resolveText(written)
	if err != nil {
		return secret, false, err
	}
	secret, err = verifier.NewSecret(text)
	return secret, literal, err
}

// resolveText returns the text that a configuration names. It may not be the name
// of a variable, wherever it comes from.
func resolveText(written string) (text string, literal bool, err error) {
	switch name, kind := placeholder(written); kind {
	case "env":
		value, ok := os.LookupEnv(name)
		if !ok || strings.TrimSpace(value) == "" {
			return "", false, fmt.Errorf("environment variable %s is not set or is empty: set it for the process that runs Caddy", name)
		}
		// A variable may hold anything; the log's hint names what surrounds a secret.
		if err := secrettext.CheckReplaced(value); err != nil {
			return "", false, fmt.Errorf("environment variable %s: %w", name, err)
		}
		return value, false, nil
	case "file":
		content, err := os.ReadFile(name)
		if err != nil {
			return "", false, fmt.Errorf("secret file: %w", err)
		}
		text := strings.TrimRight(string(content), "\r\n")
		if strings.TrimSpace(text) == "" {
			return "", false, fmt.Errorf("secret file %s is empty: write the secret into it", name)
		}
		if err := secrettext.Check(text); err != nil {
			return "", false, fmt.Errorf("secret file %s: %w", name, err)
		}
		return text, false, nil
	default:
		return written, true, checkWritten(written)
	}
}

// checkLiterals refuses what cannot be a secret among those that are written
// out; the others are not looked up.
func checkLiterals(written []string) error {
	for i, text := range written {
		if _, kind := placeholder(text); kind != "" {
			continue
		}
		err := checkWritten(text)
		if err == nil {
			_, err = verifier.NewSecret(text)
		}
		switch {
		case err != nil && len(written) > 1:
			return fmt.Errorf("secret %d of %d: %w", i+1, len(written), hintShort(err))
		case err != nil:
			return hintShort(err)
		}
	}
	return nil
}

// placeholder returns the name in a value that is one {env.name} or {file.name}.
func placeholder(written string) (name, kind string) {
	inner, ok := strings.CutPrefix(written, "{")
	if !ok {
		return "", ""
	}
	inner, ok = strings.CutSuffix(inner, "}")
	if !ok || strings.ContainsAny(inner, "{}") {
		return "", ""
	}
	kind, name, ok = strings.Cut(inner, ".")
	if !ok || name == "" || kind != "env" && kind != "file" {
		return "", ""
	}
	return name, kind
}

// checkWritten is [secrettext.CheckReplaced] for a text in the configuration, and says how
// one writes what was meant.
func checkWritten(text string) error {
	if err := secrettext.CheckReplaced(text); err != nil {
		return fmt.Errorf("%w: write {env.NAME}, or {file./path/of/the/file} with the whole path", err)
	}
	return nil
}
