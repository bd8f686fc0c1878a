// Package page has the script that a website's page loads, which the dashboard shows.
package page

import _ "embed"

// Script is chat-identity.js.
//
//go:embed chat-identity.js
var Script string
