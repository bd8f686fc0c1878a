package caddymodule

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/dustin/go-humanize"

	"github.com/chatidentity/caddy-chat-identity/internal/period"
)

// oneArg takes the only argument of an option.
func oneArg(d *caddyfile.Dispenser, to *string, wanted string) error {
	name, args := d.Val(), d.RemainingArgs()
	problem := ""
	switch {
	case len(args) > 1:
		problem = fmt.Sprintf("; unexpected '%s'", args[1])
	case len(args) == 1 && args[0] == "":
		problem = "; this one is empty" + unsetNote
	case len(args) == 1:
		*to = args[0]
		return nil
	}
	return fmt.Errorf("%s takes one argument: %s%s", name, wanted, problem)
}

// unsetNote ends errors about an argument that is missing, perhaps without a visible reason.
const unsetNote = " ({$NAME} leaves nothing if that variable is not set)"

// quantityArg takes a number with a unit, for which a space is often written in between.
func quantityArg(d *caddyfile.Dispenser, to *string, wanted string) error {
	name, ahead := d.Val(), *d
	if args := ahead.RemainingArgs(); len(args) == 2 && digits(args[0]) {
		return fmt.Errorf("%s: write '%s%s' without the space", name, args[0], args[1])
	}
	return oneArg(d, to, wanted)
}

// sizeArg takes a size in bytes, such as 1MiB, from min to max.
func sizeArg(d *caddyfile.Dispenser, to *int64, min, max uint64) error {
	name := d.Val()
	var text string
	if err := quantityArg(d, &text, "a size, as in '"+name+" 64MiB'"); err != nil {
		return err
	}
	size, err := humanize.ParseBytes(text)
	if strings.Contains(text, ",") { // which it skips
		err = strconv.ErrSyntax
	}
	switch limits := inUnits(min) + " to " + inUnits(max); {
	case err == nil && size < min && size > 0 && digits(text):
		return fmt.Errorf("%s: '%s' has no unit, so it would be bytes: write %[2]sMiB; it is from %s", name, text, limits)
	case err != nil || size < min || size > max:
		return fmt.Errorf("%s: '%s' is not a size from %s, such as 64MiB", name, text, limits)
	}
	*to = int64(size)
	return nil
}

// durationOmitted says of options what there is none of without them.
var durationOmitted = map[string]string{"session": "sessions", "stream_lifetime": "limit"}

var durationUnits = []string{"ms", "s", "m", "h", "d"}

// durationArg takes a duration of at least min, which the checks are given as it was written.
func durationArg(d *caddyfile.Dispenser, to *caddy.Duration, min caddy.Duration, checks ...func(written string) error) error {
	var text string
	name := d.Val()
	if err := quantityArg(d, &text, "a duration, as in '"+name+" 5m'"); err != nil {
		return err
	}
	value, err := caddy.ParseDuration(text)
	without := durationOmitted[name]
	switch {
	case without != "" && (text == "off" || err == nil && value == 0):
		return fmt.Errorf("%s: '%s' is not a duration: for no %s, omit the line", name, text, without)
	case err != nil && digits(text):
		return fmt.Errorf("%s: '%s' has no unit: write %[2]ss for seconds or %[2]sm for minutes", name, text)
	case err != nil && slices.Contains(durationUnits, strings.TrimLeft(text, "0123456789")) && text[0] <= '9':
		return fmt.Errorf("%s: '%s' is too long: it is at most 106751d", name, text)
	case err != nil:
		return fmt.Errorf("%s: '%s' is not a valid duration, such as 30s or 5m: the units are ms, s, m, h and d", name, text)
	case caddy.Duration(value) >= min:
		*to = caddy.Duration(value)
		for _, check := range checks {
			err = cmp.Or(err, check(text))
		}
		return err
	case value < 0:
		return fmt.Errorf("%s: '%s' is negative: write a duration such as 30s or 5m", name, text)
	case min > 1:
		return fmt.Errorf("%s: '%s' is too short: it is at least %s", name, text, period.Text(time.Duration(min)))
	}
	return fmt.Errorf("%s: '%s' is too short: write a duration such as 30s or 5m", name, text)
}

// flagArg takes an option that has no argument.
func flagArg(d *caddyfile.Dispenser, to *bool) error {
	name := d.Val()
	if *to = true; d.NextArg() {
		return fmt.Errorf("unexpected '%s': %s takes no argument", d.Val(), name)
	}
	return nil
}

func numberArg(d *caddyfile.Dispenser, to *int, min, max int) error {
	var text string
	name := d.Val()
	if err := oneArg(d, &text, "a number"); err != nil {
		return err
	}
	value, err := strconv.Atoi(text)
	if err != nil || value < min || value > max {
		return fmt.Errorf("%s: '%s' is not a number from %d to %d", name, text, min, max)
	}
	*to = value
	return nil
}

// inUnits writes a size as a configuration does: 1MiB.
func inUnits(size uint64) string {
	return strings.ReplaceAll(strings.Replace(humanize.IBytes(size), ".0", "", 1), " ", "")
}

func digits(text string) bool {
	return text != "" && strings.Trim(text, "0123456789") == ""
}

// secretArgs takes one or more secrets.
func secretArgs(d *caddyfile.Dispenser, to *[]string, example string) error {
	switch *to = d.RemainingArgs(); {
	case len(*to) > 0 && ((*to)[0] == "=" || (*to)[0] == ":"):
		return fmt.Errorf("unexpected '%s': the secret follows a space, as in 'secret {env.%s}'", (*to)[0], example)
	case len(*to) > 1 && slices.Contains(handlerBlock.options, (*to)[1]):
		return fmt.Errorf("unexpected '%s': write each option on its own line", (*to)[1])
	case len(*to) > 1 && ((*to)[0] == "env" || (*to)[0] == "file"):
		return fmt.Errorf("unexpected '%s': write it as a placeholder, as in 'secret {env.%s}' or 'secret {file./run/secrets/chat}'", (*to)[0], example)
	case slices.Contains(*to, "//"), slices.Contains(*to, "--"):
		return errors.New("unexpected text behind the secret: a comment begins with #")
	case len(*to) == 0:
		return errors.New("secret needs at least one secret, as in 'secret {env." + example + "}'")
	}
	return checkLiterals(*to)
}
