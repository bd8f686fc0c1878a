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
	return secret, literal, from(secretNoun, written, hintShort(err))
}

// What a variable or file of the configuration has, for errors.
const (
	secretNoun    = "secret"
	publicKeyNoun = "public key"
)

// from says which variable or file an error is about, if it is about one.
func from(noun, written string, err error) error {
	name, kind := placeholder(written)
	switch {
	case err == nil || kind == "":
		return err
	case kind == "env":
		return fmt.Errorf("environment variable %s: %w", name, err)
	}
	return fmt.Errorf("%s file %s: %w", noun, name, err)
}

// maxSecretFile is more than any secret, key or certificate takes.
const maxSecretFile = 64 << 10

// readSecretFile reads a file, but never waits for a pipe.
func readSecretFile(name string) ([]byte, error) {
	info, err := os.Stat(name)
	switch {
	case err != nil || info.IsDir():
		return os.ReadFile(name)
	case !info.Mode().IsRegular():
		return nil, errors.New("it is not a regular file, and a reload would read it again: write the secret into a file")
	case info.Size() > maxSecretFile:
		return nil, errors.New("it is larger than 64 KiB: name a file with the secret alone")
	}
	return os.ReadFile(name)
}

// resolveText is [resolveSecret] for any text. A text that looks like the name of a
// variable that was not replaced is an error.
func resolveText(written string) (text string, literal bool, err error) {
	_, kind := placeholder(written)
	if kind == "" {
		return written, true, checkWritten(written)
	}
	if text, err = resolveNamed(secretNoun, written); err != nil {
		return "", false, err
	}
	check := secrettext.Check
	if kind == "env" { // it may hold anything, quotes included: newWidget only warns of those
		check = secrettext.CheckReplaced
	}
	if err := check(text); err != nil {
		return "", false, from(secretNoun, written, err)
	}
	return text, false, nil
}

// resolveNamed returns what a variable or file has, without the newline at a file's end.
func resolveNamed(noun, written string) (string, error) {
	name, kind := placeholder(written)
	if kind == "env" {
		if i := strings.IndexAny(name, ":="); i > 0 { // not quoted: it may be a secret
			return "", fmt.Errorf("{env.%s} takes no default: set that variable for the process that runs Caddy, and take out what follows its name", name[:i])
		}
		value, ok := os.LookupEnv(name)
		if !ok || strings.TrimSpace(value) == "" {
			return "", fmt.Errorf("environment variable %s is not set or is empty: set it for the process that runs Caddy", name)
		}
		return value, nil
	}
	content, err := readSecretFile(name)
	if err != nil {
		return "", unreadable(noun, name, err)
	}
	text := strings.TrimRight(string(content), "\r\n")
	if strings.TrimSpace(text) == "" {
		return "", fmt.Errorf("%s file %s is empty: write the %[1]s into it", noun, name)
	}
	return text, nil
}

// unreadable says why the file of a secret or key cannot be read, and what to do.
func unreadable(noun, name string, err error) error {
	path, absErr := filepath.Abs(name)
	if absErr != nil {
		path = name
	}
	switch info, statErr := os.Stat(name); {
	case errors.Is(err, fs.ErrNotExist) && path != name:
		return fmt.Errorf("%s file %s does not exist: write the whole path, since %s is relative to the folder in which Caddy was started", noun, path, name)
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%s file %s does not exist: create it, or correct the path", noun, path)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("%s file %s cannot be read: let the user that Caddy runs as read it", noun, path)
	case statErr == nil && info.IsDir():
		return fmt.Errorf("%s file %s is a folder: name a file in it", noun, path)
	}
	return fmt.Errorf("%s file %s cannot be read: %w", noun, path, err)
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
		} else if len(written) == 1 {
			err = fmt.Errorf("secret: %w", err)
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

var (
	placeholderPattern = regexp.MustCompile(`^\{(env|file)\.([^{}]+)\}$`)
	withinPattern      = regexp.MustCompile(`\{(?:env|file)\.[^{}]+\}`)
)

// checkWritten is [secrettext.CheckReplaced] for a literal, and says how to write the
// placeholder that was meant.
func checkWritten(text string) error {
	err := secrettext.CheckReplaced(text)
	found := withinPattern.FindAllString(text, 2)
	switch {
	case err == nil:
		return nil
	case strings.Contains(text, "{http.request.uri.path.file."): // as the adapter has replaced it
		return errors.New("{file.NAME} without a slash is a part of the request's path: write the file's whole path, as in {file./run/secrets/chat}")
	case len(found) > 1:
		return fmt.Errorf("%w: write one placeholder alone, and give all of the secret to its variable or file", err)
	case len(found) == 1:
		return fmt.Errorf("%w: write the placeholder alone, without what is before or behind it", err)
	}
	return fmt.Errorf("%w: write {env.NAME}, or {file./path/of/the/file} with the whole path", err)
}
