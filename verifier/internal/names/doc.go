// Package names compares names as parsers do that ignore letter case, and tells
// whether a watched name can stand in a text that does not read in one way.
//
// A gateway that refuses a body it cannot read refuses honest photos, films and
// messages. One that lets it pass lets a claim pass that it has not seen, if a
// parser behind it reads what it could not. What both have in common is the
// name: whoever claims something must name it. So such a text is a reason to
// refuse only where a watched name can stand in it, and whether one can is
// judged as the most generous reader would have it. Where it cannot be told, a
// name stands.
//
// A name stands anywhere in a text where neither a letter nor a digit is beside
// it: id does not stand in video. Each character of it may be written in any of
// these ways, whatever the ways of the others:
//
//   - in either case, by Unicode's simple folding, as encoding/json compares:
//     ſ is an s, and the Kelvin sign a k;
//   - as an escape of JSON (RFC 8259 section 7), surrogate pairs among them, and
//     those of JavaScript (ECMA-262 section 12.9.4 and annex B.1.2), which
//     lenient readers of JSON take too: \x75, \165, \u{75}, and a backslash
//     before any other character or, standing for nothing, before a newline. C's
//     and Python's \U00000075, and Java's \uu0075 (JLS section 3.3);
//   - percent-encoded (WHATWG URL section 1.3), as %u0075 (ECMA-262 annex B.2.1;
//     IIS takes it), or encoded so several times: %252575;
//   - in quoted-printable (RFC 2045 section 6.7), whose soft line breaks stand
//     for nothing;
//   - as a numeric reference of HTML or XML: browsers write so what a form's
//     charset does not have (WHATWG HTML section 4.10.21.8);
//   - in UTF-8, overlong or not (RFC 3629 section 10 warns of decoders that take
//     both), and by surrogates, as CESU-8 (UTR 26) and Java's modified UTF-8 do;
//   - in UTF-16 or UTF-32 of either byte order, at any alignment, which is to say
//     with NULs between its characters, and with all these escapes on top;
//   - in a charset of one byte, ISO-8859-1 or windows-1251 for instance: then a
//     byte that is no part of a character in UTF-8 may be any letter beyond ASCII.
//     Written as an escape it may be that in any case;
//   - a dot, a space, a bracket or a plus sign for an underscore, and the
//     reverse, as PHP has only underscores in the names of variables (PHP
//     manual, "Variables From External Sources").
//
// The characters of an escape may be written as escapes in turn, as in JSON
// within a form or within JSON: %5Cu0075, \\u0075, \u005c\u0075\u0030\u0030\u0037\u0035.
// Beyond what a run of backslashes or of %25 says, that holds once: what only a
// reader finds that decodes three times is not found. An octal escape or a
// reference in which another escape writes a character is found, but neither
// writes one of another escape.
//
// What is beside a name is judged in the same way: if it may be the end of an
// escape that is neither a letter nor a digit (%22user_id, \nuser_id), the name
// stands. A letter beyond ASCII bounds no name if it is in UTF-8 or written as a
// code point; in UTF-16 and in a charset of one byte it does.
//
// In the header of a multipart part there are further ways: see
// [Set.StandInHeader].
//
// Not looked for is what no reader of JSON or forms is known to decode by itself:
// HTML's named references, characters that look alike or are equal by NFKC (ｕ),
// code points that collations ignore (U+00AD, U+200B), base64 but in header
// words, and compressed texts. Nor can it be told here what a text says in a
// charset that hides ASCII: see [KnownCharset].
package names
