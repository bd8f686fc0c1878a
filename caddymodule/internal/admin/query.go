package admin

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// query returns the call's parameters. It refuses unknown ones, so that a misspelled
// one is not ignored.
func (c *call) query(known ...string) (url.Values, error) {
	query, err := url.ParseQuery(c.r.URL.RawQuery)
	if err != nil {
		return nil, adminError(http.StatusBadRequest, "the query is malformed")
	}
	for name, values := range query {
		if !slices.Contains(known, name) {
			if len(known) == 0 {
				return nil, adminError(http.StatusBadRequest, "this call takes no query parameters")
			}
			return nil, adminError(http.StatusBadRequest, "unknown query parameter: this call takes %s", strings.Join(known, ", "))
		}
		if len(values) > 1 {
			return nil, adminError(http.StatusBadRequest, "%s appears more than once", name)
		}
	}
	return query, nil
}

// numberIn returns a parameter between 1 and a limit, or a default if it is missing.
func numberIn(query url.Values, name string, otherwise, limit int) (int, error) {
	text := query.Get(name)
	if text == "" && !query.Has(name) {
		return otherwise, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > limit {
		return 0, adminError(http.StatusBadRequest, "%s must be a number from 1 to %d", name, limit)
	}
	return n, nil
}

// boolIn returns a parameter that is true or false, or false if it is missing.
func boolIn(query url.Values, name string) (bool, error) {
	value, err := strconv.ParseBool(query.Get(name))
	if err != nil && query.Has(name) {
		return false, adminError(http.StatusBadRequest, "%s must be true or false", name)
	}
	return value, nil
}
