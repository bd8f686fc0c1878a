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
	return secret, literal, from(written, hintShort(err))
}

// from says which variable or file an error is about, if it is about one.
func from(written string, err error) error {
	name, kind := placeholder(written)
	switch {
	case err == nil || kind == "":
		return err
	case kind == "env":
		return fmt.Errorf("environment variable %s: %w", name, err)
	}
	return fmt.Errorf("secret file %s: %w", name, err)
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
	switch name, kind := placeholder(written); kind {
	case "env":
		if i := strings.IndexAny(name, ":="); i > 0 { // not quoted: it may be a secret
			return "", false, fmt.Errorf("{env.%s} takes no default: set that variable for the process that runs Caddy, and take out what follows its name", name[:i])
		}
		value, ok := os.LookupEnv(name)
		if !ok || strings.TrimSpace(value) == "" {
			return "", false, fmt.Errorf("environment variable %s is not set or is empty: set it for the process that runs Caddy", name)
		}
		// A variable may hold anything, quotes included: newWidget only warns of those.
		if err := secrettext.CheckReplaced(value); err != nil {
			return "", false, from(written, err)
		}
		return value, false, nil
	case "file":
		content, err := readSecretFile(name)
		if err != nil {
			return "", false, unreadable(name, err)
		}
		text := strings.TrimRight(string(content), "\r\n")
		if strings.TrimSpace(text) == "" {
			return "", false, fmt.Errorf("secret file %s is empty: write the secret into it", name)
		}
		if err := secrettext.Check(text); err != nil {
			return "", false, from(written, err)
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
