package caddymodule

import (
	"fmt"
	"strings"
	"testing"
)

// fileBeginnings are the first bytes of files by their type. What follows them
// in honestFile names every piece of a claim, as a file may.
var fileBeginnings = map[string][]string{
	"image/png":                      {"\x89PNG\r\n\x1a\n"},
	"image/jpeg":                     {"\xff\xd8\xff\xe0\x00\x10JFIF", "\xff\xd8\xff\xe1"},
	"image/gif":                      {"GIF89a"},
	"image/webp":                     {"RIFF\x24\x00\x00\x00WEBPVP8 "},
	"image/heic":                     {"\x00\x00\x00\x20ftypheic", "\x00\x00\x00\x20ftypmif1"},
	"image/avif":                     {"\x00\x00\x00\x1cftypavif"},
	"image/jxl":                      {"\xff\x0a", "\x00\x00\x00\x0cJXL "},
	"image/tiff":                     {"II*\x00", "MM\x00*"},
	"image/bmp":                      {"BM\x7b\x00"},
	"image/vnd.microsoft.icon":       {"\x00\x00\x01\x00\x01"},
	"image/vnd.adobe.photoshop":      {"8BPS\x00\x01"},
	"image/svg+xml":                  {"<svg ", "<?xml version=\"1.0\"?>", "\ufeff<svg "},
	"video/mp4":                      {"\x00\x00\x00\x18ftypmp42"},
	"video/quicktime":                {"\x00\x00\x00\x14ftypqt  "},
	"video/webm;codecs=vp8,opus":     {"\x1aE\xdf\xa3"},
	"video/mp2t":                     {"G@\x00\x10"},
	"video/x-msvideo":                {"RIFF\x24\x00\x00\x00AVI "},
	"audio/mpeg":                     {"ID3\x04", "\xff\xfb\x90d"},
	"audio/wav":                      {"RIFF\x24\x00\x00\x00WAVE"},
	"audio/flac":                     {"fLaC\x00"},
	"audio/ogg; codecs=opus":         {"OggS\x00\x02"},
	"audio/mp4":                      {"\x00\x00\x00\x1cftypM4A "},
	"audio/aac":                      {"\xff\xf1P\x80"},
	"audio/amr":                      {"#!AMR\n<"},
	"audio/midi":                     {"MThd\x00"},
	"audio/L16;rate=16000":           {strings.Repeat("\x00", 3000) + "\x01"},
	"font/ttf":                       {"\x00\x01\x00\x00\x00\x0f", "ttcf\x00"},
	"font/otf":                       {"OTTO\x00"},
	"font/woff":                      {"wOFF\x00"},
	"font/woff2":                     {"wOF2\x00"},
	"application/pdf":                {"%PDF-1.7\n"},
	"application/postscript":         {"%!PS-Adobe"},
	"application/zip":                {"PK\x03\x04", "PK\x05\x06"},
	"application/gzip":               {"\x1f\x8b\x08"},
	"application/x-bzip2":            {"BZh91AY"},
	"application/x-xz":               {"\xfd7zXZ\x00"},
	"application/zstd":               {"(\xb5/\xfd"},
	"application/x-7z-compressed":    {"7z\xbc\xaf'\x1c"},
	"application/vnd.rar":            {"Rar!\x1a\x07"},
	"application/x-tar":              {"user.txt\x00" + strings.Repeat("\x00", 91)},
	"application/wasm":               {"\x00asm\x01"},
	"application/java-vm":            {"\xca\xfe\xba\xbe\x00"},
	"application/x-executable":       {"\x7fELF\x02", "MZ\x90\x00", "\xcf\xfa\xed\xfe"},
	"application/x-python-code":      {"\xa7\r\r\n\x00"},
	"application/vnd.sqlite3":        {"SQLite format 3\x00"},
	"application/vnd.tcpdump.pcap":   {"\xd4\xc3\xb2\xa1", "\n\r\r\n\x1c"},
	"application/dicom":              {strings.Repeat("\x00", 128) + "DICM"},
	"application/x-iso9660-image":    {strings.Repeat("\x00", 32768) + "\x01CD001"},
	"application/msword":             {"\xd0\xcf\x11\xe0\xa1\xb1"},
	"application/x-gettext-mo":       {"\xde\x12\x04\x95", "\x95\x04\x12\xde"},
	"application/x-msgpack":          {"\x82\xa7user_id", "\xde\x00\x02"},
	"application/cbor":               {"\xa2\x67user_id", "\xd9\xd9\xf7"},
	"application/x-protobuf":         {"\n\x05hello\x10\x01", "\x08\x96\x01"},
	"application/vnd.apache.parquet": {"PAR1"},
	"application/x-hdf5":             {"\x89HDF\r\n"},
	"application/x-bittorrent":       {"d8:announce"},
	"application/x-plist":            {"bplist00"},
	"application/x-ndjson":           {"[1]\n"},
	"application/grpc":               {"\x00\x00\x00\x00\x7b", "\x01\x00\x00\x00\x23"},
	"application/grpc-web+proto":     {"\x00\x00\x00\x00\x7b"},
	"application/connect+proto":      {"\x00\x00\x00\x00\x7b"},
	"application/x-sh":               {"#!/bin/sh\n", "# a\n#\n\nset -e\n"},
	"application/sql":                {"-- a\n", "/* a */ SELECT"},
	"application/xml":                {"<?xml version=\"1.0\"?>", "\xff\xfe<\x00"},
	"application/yaml":               {"---\n", "# a\na: 1\n"},
	"application/toml":               {"# a\n[a]\n"},
	"text/plain":                     {"a", "\ufeffa", "\xff\xfea\x00", "[", "\"", "\n\n\ta"},
	"text/html; charset=utf-8":       {"<!doctype html>"},
	"text/css":                       {"/* a */ a {", "@charset \"utf-8\";"},
	"text/javascript":                {"// a\nlet a", "/*! a */!function", "\"use strict\";"},
	"text/csv":                       {"a,b\n", "# a\n1,2\n"},
	"text/markdown":                  {"# A\n\na", "---\n"},
	"text/calendar":                  {"BEGIN:VCALENDAR\r\n"},
	"text/vcard":                     {"BEGIN:VCARD\r\n"},
	"text/x-python":                  {"#!/usr/bin/env python\n# a\nimport"},
	"text/x-c":                       {"#include <a>\n// a\nint a", "/* a */\n#define A\na"},
	"text/x-diff":                    {"diff --git a/a b/a\n", "--- a\n"},
	"message/rfc822":                 {"Received: from a\r\nContent-Type: multipart/form-data; boundary=b\r\n\r\n--b\r\n"},
}

const honestFile = "\xff\x00\"user_id\":\"u\",\"user_hash\":\"h\",\r\nContent-Disposition: form-data; name=\"user_id\"\r\n\r\nid=1&signature=2&userId=3&hmacSignature=4&key=5&conversation_id=6&user_token=7&userJwt=8&jwt=9"

// TestFilesPass: no file is anybody's claim, whatever its type and the dialect,
// and each arrives as it was sent.
func TestFilesPass(t *testing.T) {
	var site strings.Builder
	dialects := []string{"bookbag", "nextcap", "inviaro", "replybubble", "snapengage", "jwt", "drift", "freshchat"}
	for _, dialect := range dialects {
		fmt.Fprintf(&site, "chat_identity /%s optional {\nsecret {env.TEST_SECRET}\nwidget w-%[1]s\ndialect %[1]s\nconversation body /conversation_id\n}\n", dialect)
	}
	g := start(t, "", site.String()+"reverse_proxy UPSTREAM")
	for media, beginnings := range fileBeginnings {
		for i, beginning := range beginnings {
			file := beginning + honestFile
			for j, method := range []string{"POST", "PUT", "PATCH"} {
				path := "/" + dialects[(i+j+len(media))%len(dialects)]
				for sent, arrives := range map[string]string{media: media, "application/octet-stream": "application/octet-stream", "": "application/octet-stream"} {
					if framed := strings.HasPrefix(media, "application/grpc") || strings.HasPrefix(media, "application/connect"); framed && sent != media {
						continue // a frame's header may be a beginning under another type
					}
					var headers []string
					if sent != "" {
						headers = []string{"Content-Type: " + sent}
					}
					a := g.do(t, method, path, file, headers...)
					if a.StatusCode != 200 || a.seen == nil {
						t.Errorf("%s %s, %q beginning with %.20q: %d %s", method, path, sent, beginning, a.StatusCode, a.body)
						continue
					}
					if s := a.seen; s.Body != file || s.Header.Get("Content-Type") != arrives || s.Header.Get("X-Identity-Reason") != "missing" {
						t.Errorf("%s %s, %q beginning with %.20q: %d bytes of %d, %q, %q", method, path, sent, beginning, len(s.Body), len(file), s.Header["Content-Type"], s.Header["X-Identity-Reason"])
					}
				}
			}
		}
	}
}

// TestBoundariesOfClients: what clients take for a boundary is read, and where it
// is written so that parsers may not take it, visitors pass all the same.
func TestBoundariesOfClients(t *testing.T) {
	g := bookbag(t, "optional", "")
	for boundary, read := range map[string]bool{
		"*****":                              true, // Android's samples
		`"*****"`:                            true,
		"----WebKitFormBoundary":             true,
		"xYzZY":                              true, // Perl
		`"boundary_.oOo._MTIz/Nz+wMA=="`:     true, // Qt
		"a~b!c#d$e%f&g^h`i|j":                true,
		"boundary_.oOo._MTIz/Nz+wMA":         false, // Qt's, set by hand
		"Boundary+ABC==":                     false,
		"===1700000000===":                   false, // Java's samples
		`"----=_Part boundary"`:              false,
		"----=_NextPart_000_boundary,1":      false,
		"x@y":                                false,
		"{boundary}; charset=utf-8; a=b":     false,
		`"dart-http-boundary-a,b:c"`:         false,
		`"boundary:boundary"; charset=UTF-8`: true,
	} {
		name, _, _ := strings.Cut(strings.Trim(strings.SplitN(boundary, ";", 2)[0], `"`), ";")
		form := func(fields ...string) string {
			var b strings.Builder
			for i := 0; i < len(fields); i += 2 {
				fmt.Fprintf(&b, "--%s\r\nContent-Disposition: form-data; name=\"%s\"\r\n\r\n%s\r\n", name, fields[i], fields[i+1])
			}
			fmt.Fprintf(&b, "--%s\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.png\"\r\nContent-Type: image/png\r\n\r\n\x89PNG\r\n--%[1]s--\r\n", name)
			return b.String()
		}
		send := func(body string) *answered {
			return g.do(t, "POST", "/chat", body, "Content-Type: multipart/form-data; boundary="+boundary)
		}
		visitor := form("text", "hello")
		if a := send(visitor); a.StatusCode != 200 || a.seen == nil || a.seen.Body != visitor || a.seen.Header.Get("X-Identity-Reason") != "missing" {
			t.Errorf("boundary=%s, a visitor: %d %s", boundary, a.StatusCode, a.body)
		}
		a := send(form("user_id", "zoe", "user_hash", sign("zoe")))
		if verified := a.seen != nil && a.seen.user() == "zoe"; verified != read || !read && a.problem(t).Reason != "malformed" {
			t.Errorf("boundary=%s, a claim: %d %s", boundary, a.StatusCode, a.body)
		}
	}
}
