package caddymodule

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/secrettext"
	"github.com/chatidentity/caddy-chat-identity/verifier"
)

// resolveSecret returns the secret that a configuration names. A value that is one
// {env.X} or {file.X} is resolved. Any other is the secret itself, braces included,
// since a secret may hold any character.
func resolveSecret(written string) (secret verifier.Secret, literal bool, err error) {
	text, literal, err := resolveText(written)
	if err != nil {
		return secret, false, err
	}
	secret, err = verifier.NewSecret(text)
	return secret, literal, err
}

// resolveText is [resolveSecret] for any text. A text that looks like the name of a
// variable that was not replaced is an error.
func resolveText(written string) (text string, literal bool, err error) {
	switch name, kind := placeholder(written); kind {
	case "env":
		value, ok := os.LookupEnv(name)
		if !ok || strings.TrimSpace(value) == "" {
			return "", false, fmt.Errorf("environment variable %s is not set or is empty: set it for the process that runs Caddy", name)
		}
		// A variable may hold anything, quotes included: newWidget only warns of those.
		if err := secrettext.CheckReplaced(value); err != nil {
			return "", false, fmt.Errorf("environment variable %s: %w", name, err)
		}
		return value, false, nil
	case "file":
		content, err := os.ReadFile(name)
		if err != nil {
			return "", false, unreadable(name, err)
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

// unreadable says why a secret's file cannot be read, and what to do.
func unreadable(name string, err error) error {
	path, absErr := filepath.Abs(name)
	if absErr != nil {
		path = name
	}
	switch info, statErr := os.Stat(name); {
	case errors.Is(err, fs.ErrNotExist) && path != name:
		return fmt.Errorf("secret file %s does not exist: write the whole path, since %s is relative to the folder in which Caddy was started", path, name)
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("secret file %s does not exist: create it, or correct the path", path)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("secret file %s cannot be read: let the user that Caddy runs as read it", path)
	case statErr == nil && info.IsDir():
		return fmt.Errorf("secret file %s is a folder: name a file in it", path)
	}
	return fmt.Errorf("secret file %s cannot be read: %w", path, err)
}

// checkLiterals refuses literals that cannot be secrets. Placeholders are not resolved.
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

// placeholder returns the name and kind of a value that is one {env.name} or
// {file.name}, "" for any other value.
func placeholder(written string) (name, kind string) {
	if found := placeholderPattern.FindStringSubmatch(written); found != nil {
		return found[2], found[1]
	}
	return "", ""
}

var placeholderPattern = regexp.MustCompile(`^\{(env|file)\.([^{}]+)\}$`)

// checkWritten is [secrettext.CheckReplaced] for a literal, and says how to write the
// placeholder that was meant.
func checkWritten(text string) error {
	if err := secrettext.CheckReplaced(text); err != nil {
		return fmt.Errorf("%w: write {env.NAME}, or {file./path/of/the/file} with the whole path", err)
	}
	return nil
}
