// Package body reads the body of an HTTP request at a gateway: it says what the
// client declares, finds out how the body begins, reads it whole where it must
// be understood, and hands it on. It knows net/http and nothing else of the
// house: neither Caddy, nor what a claim is.
//
// A handler calls [Declare] and [Open], reads as much as it needs by [Body.Begins],
// [Body.ReadAll] or [Body.Spool], takes out what the next handler must not see by [Cut], hands
// the rest on by [Body.Pass] or [Body.Discard], and after the request calls [Body.End].
//
// What is not read whole streams, with what was looked at put back in front of
// it. What is read whole lies in memory that is used again, and beyond
// [MemoryLimit] bytes of an upload in a temporary file that has no name. Both are released
// when nobody can read them any more, whatever became of the request.
package body
