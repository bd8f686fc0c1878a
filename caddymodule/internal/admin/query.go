package admin

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// query returns the call's parameters, of which these are known. A slip of the
// pen must not be taken for a call without it.
func (c *call) query(known ...string) (url.Values, error) {
	query, err := url.ParseQuery(c.r.URL.RawQuery)
	if err != nil {
		return nil, adminError(http.StatusBadRequest, "the query is not well-formed")
	}
	for name, values := range query {
		if !slices.Contains(known, name) {
			if len(known) == 0 {
				return nil, adminError(http.StatusBadRequest, "this call takes no query parameters")
			}
			return nil, adminError(http.StatusBadRequest, "this call takes the query parameters %s, and no other", strings.Join(known, ", "))
		}
		if len(values) > 1 {
			return nil, adminError(http.StatusBadRequest, "%s is given twice", name)
		}
	}
	return query, nil
}

// numberIn returns a parameter from 1 to a largest value, or else what it is
// where it is not given.
func numberIn(query url.Values, name string, without, largest int) (int, error) {
	text := query.Get(name)
	if text == "" && !query.Has(name) {
		return without, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > largest {
		return 0, adminError(http.StatusBadRequest, "%s is a number from 1 to %d", name, largest)
	}
	return n, nil
}
