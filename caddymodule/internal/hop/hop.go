// Package hop knows what may not cross a gateway, and where names stand that more
// than one program reads: the spellings of header names that CGI-like backends take
// for one, what Connection removes, tunnels, and cookies.
package hop
