package command

import (
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf16"
)

// request returns what a tool shows of a request, or a browser copies of one, as that request
// or as lines of its headers. Any other text is returned as it is.
func (d document) request() document {
	text := strings.ReplaceAll(string(d), "\r\n", "\n")
	if aCurl.MatchString(text) {
		return curlRequest(shellWords(text))
	}
	var lines []string
	for _, sent := range sentLine.FindAllStringSubmatch(text, -1) { // of "curl -v"
		lines = append(lines, sent[1])
	}
	if len(lines) > 0 {
		return document(strings.Join(lines, "\n") + "\n")
	}
	shown := slices.DeleteFunc(strings.Split(text, "\n"), func(line string) bool { return strings.TrimSpace(line) == "" })
	for i := 0; i+1 < len(shown) && aName.MatchString(shown[i]); i += 2 { // of Chrome's Network panel
		lines = append(lines, strings.TrimSuffix(strings.TrimSpace(shown[i]), ":")+": "+shown[i+1])
	}
	if len(lines) > 0 && 2*len(lines) == len(shown) && !strings.HasPrefix(shown[0], "ey") { // no token on two lines
		return document(strings.Join(lines, "\n") + "\n")
	}
	return d
}

var (
	aCurl    = regexp.MustCompile(`^\s*curl\s`)
	sentLine = regexp.MustCompile(`(?m)^>(?: (.*))?$`)
	aName    = regexp.MustCompile(`^\s*:?[A-Za-z_][\w.-]*(\[\w+\])?:?\s*$`)
)

// curlRequest returns the request that a curl command sends, such as one that a browser has
// copied.
func curlRequest(words []string) document {
	target, head, body := "/", "", ""
	for i := 1; i < len(words); i++ {
		value := ""
		if i+1 < len(words) {
			value = words[i+1]
		}
		switch word := words[i]; word {
		case "-H", "--header":
			head += value + "\n"
		case "-d", "--data", "--data-raw", "--data-binary", "--data-ascii", "--data-urlencode", "--json":
			if name, text, named := strings.Cut(value, "="); named && word == "--data-urlencode" {
				value = name + "=" + url.QueryEscape(text)
			}
			body = strings.TrimPrefix(body+"&"+value, "&")
		case "-X", "--request", "-b", "--cookie", "-A", "--user-agent", "-e", "--referer", "-u", "--user", "-o", "--output":
		default:
			if scheme := aScheme.FindString(word); !strings.HasPrefix(word, "-") {
				target = "/" + strings.TrimPrefix(word[len(scheme):], "/")
			}
			continue
		}
		i++
	}
	return document("POST " + strings.Join(strings.Fields(target), "%20") + " HTTP/1.1\n" + head + "\n" + body)
}

var aScheme = regexp.MustCompile(`^(\w+://)?[^/?]*`)

// shellWords splits a command as a shell does, bash's $'…' included, and expands nothing.
func shellWords(text string) (words []string) {
	for _, word := range aWord.FindAllString(text, -1) {
		word = aPart.ReplaceAllStringFunc(word, func(part string) string {
			switch {
			case part == "\\\n":
				return ""
			case part[0] == '\'':
				return part[1 : len(part)-1]
			case part[0] == '"':
				return inDouble.ReplaceAllString(part[1:len(part)-1], "$1")
			case strings.HasPrefix(part, "$'"):
				return inDollar.ReplaceAllStringFunc(part[2:len(part)-1], unescape)
			}
			return strings.TrimPrefix(part, `\`)
		})
		if word != "" {
			words = append(words, word)
		}
	}
	return words
}

const shellPart = `'[^']*'|\$'(?:[^'\\]|\\(?s:.))*'|"(?:[^"\\]|\\(?s:.))*"|\\(?s:.)|[^\s'"\\]`

var (
	aPart    = regexp.MustCompile(shellPart)
	aWord    = regexp.MustCompile(`(?:` + shellPart + `)+`)
	inDouble = regexp.MustCompile("\\\\([\"\\\\$`])")
	inDollar = regexp.MustCompile(`(?:\\u[0-9a-fA-F]{4})+|\\(?s:.)`)
)

// unescape returns the text of an escape within $'…', or of several of \u.
func unescape(text string) string {
	switch text[1] {
	case 'u':
		var units []uint16
		for unit := range strings.SplitSeq(text[2:], `\u`) {
			n, _ := strconv.ParseUint(unit, 16, 16) // as matched
			units = append(units, uint16(n))
		}
		return string(utf16.Decode(units))
	case 'n':
		return "\n"
	case 'r':
		return "\r"
	case 't':
		return "\t"
	}
	return text[1:]
}
