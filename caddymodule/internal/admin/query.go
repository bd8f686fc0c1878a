package admin

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// query returns a request's parameters. It refuses unknown ones, so that a misspelled
// one is not ignored.
func (o *operation) query(r *http.Request) (url.Values, error) {
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, adminError(http.StatusBadRequest, "the query is malformed")
	}
	for name, values := range query {
		if !slices.Contains(o.takes, name) {
			if len(o.takes) == 0 {
				return nil, adminError(http.StatusBadRequest, "this call takes no query parameters")
			}
			return nil, adminError(http.StatusBadRequest, "unknown query parameter: this call takes %s", strings.Join(o.takes, ", "))
		}
		if len(values) > 1 {
			return nil, adminError(http.StatusBadRequest, "%s appears more than once", name)
		}
	}
	return query, nil
}

// number returns a parameter between 1 and a limit, or a default if it is missing.
func (c *call) number(name string, otherwise, limit int) (int, error) {
	if !c.query.Has(name) {
		return otherwise, nil
	}
	n, err := strconv.Atoi(c.query.Get(name))
	if err != nil || n < 1 || n > limit {
		return 0, adminError(http.StatusBadRequest, "%s must be a number from 1 to %d", name, limit)
	}
	return n, nil
}

// flag returns a parameter that is true or false, or false if it is missing.
func (c *call) flag(name string) (bool, error) {
	value, err := strconv.ParseBool(c.query.Get(name))
	if err != nil && c.query.Has(name) {
		return false, adminError(http.StatusBadRequest, "%s must be true or false", name)
	}
	return value, nil
}
