package names_test

import (
	"bytes"
	"encoding/base64"
	"strings"
	"testing"

	"github.com/chatidentity/caddy-chat-identity/verifier/internal/names"
)

func base64Of(text []byte) string { return base64.StdEncoding.EncodeToString(text) }

func disposition(params string) string {
	return "Content-Disposition: form-data; " + params + "\r\nContent-Type: image/jpeg"
}

// TestStandInHeader has the ways in which part headers alone write names.
func TestStandInHeader(t *testing.T) {
	set := names.Compile(watched)
	for _, c := range []struct {
		what   string
		stands bool
		blocks []string
	}{
		{"plain", true, []string{
			disposition(`name="user_id"`), disposition(`name=user_id`), disposition(`name=user\_id`), "Content-ID: <user_id>",
		}},
		{"folded", true, []string{
			disposition("name=\"us\r\n er_id\""), disposition("name=\"user\r\n id\""), disposition("name=\"user\r\n\t id\""),
			disposition("name=\"us\n  er_id\""), disposition("name=\"us\r er_id\""), disposition("name=\"user\r\n_id\"")[:40] + " \r\n x=user_id",
			disposition("name=\"us%\r\n 65r_id\""),
		}},
		{"a line without a colon, which PHP joins", true, []string{disposition("name=\"us\r\ner_id\""), disposition("name=\"us\x00x\r\ner_id\"")}},
		{"another line", false, []string{disposition("name=\"us\r\ner_id: x\""), "X: us\r\n\r\n\r\ner_id"}},
		{"words", true, []string{
			disposition(`name="=?utf-8?q?user=5Fid?="`), disposition(`name="=?utf-8?B?dXNlcl9pZA==?="`), disposition(`name="=?UTF-8?b?dXNlcl9pZA?="`),
			disposition(`name="=?us-ascii?q?us?= =?utf-8?b?ZXJfaWQ=?="`), disposition("name=\"=?utf-8?q?us?=\r\n =?utf-8?q?er=5Fid?=\""),
			disposition(`name="us=?utf-8?b?ZXI=?=_id"`), disposition(`name="=?utf-8*en?b?dXNl?==?utf-8?b?cl9pZA?="`),
			disposition(`name="=?iso-8859-15?q?user_id?="`), disposition(`name="=?windows-1252?b?dXNlcl9pZA==?="`),
			disposition(`name="=?utf-8?b?dXNlcl9pZA"`), disposition(`name==?utf-8?B?dXNlcl9pZA==?=`), disposition(`name="=?utf-8?b?dX Nl!cl9pZA==?="`),
			disposition("name=\"=?utf-8?b?dXNl\r\n cl9pZA==?=\""), disposition("name=\"=?utf-8?q?us=\r\n er_id?=\""),
			disposition(`name="=?utf-8?b?dXNl==cl9pZA==?="`), disposition(`name="=?utf-8?b?` + base64Of([]byte(`\u0075ser_id`)) + `?="`),
			disposition(`name="=?utf-8?b?` + base64Of([]byte("name*0=us; name*1=er_id")) + `?="`),
		}},
		{"words in UTF-16 and UTF-32", true, func() (blocks []string) {
			for _, e := range encodings {
				for _, charset := range []string{"utf-16", "UTF-16LE", "utf-16be", "utf-32", "UTF-32LE", "UTF-32BE"} {
					blocks = append(blocks, disposition(`name="=?`+charset+`?b?`+base64Of(e.encode("user_id"))+`?="`),
						disposition(`name="=?`+charset+`?b?`+base64Of(e.encode("us"))+`?= =?`+charset+`?b?`+base64Of(e.encode("er_id"))+`?="`),
						disposition("name*="+charset+"''"+speller{}.bytesIn(e.encode("user_id"), "%%%02x")))
				}
			}
			return blocks
		}()},
		{"unknown charsets", true, []string{
			disposition(`name="=?utf-7?q?x?="`), disposition(`name="=?IBM037?b?eA==?="`), disposition(`filename="=?iso-2022-jp?b?GyRC?="`),
			disposition(`name*=utf-7''x`), disposition(`filename*="cp037'en'x"`), disposition(`name*0*=utf-7''x; name*1=y`), disposition(`name*0*=x-unknown'`),
		}},
		{"extended", true, []string{
			disposition(`name*=utf-8''user%5Fid`), disposition(`name*="utf-8'en'user%5fid"`), disposition(`NAME * = us-ascii'en-US'%75ser_id`),
			disposition(`name*=''user_id`), disposition(`name*=user%5Fid`), disposition(`filename*=ISO-8859-1''user%5Fid`),
		}},
		{"in pieces", true, []string{
			disposition(`name*0="us"; name*1=er_id`), disposition(`name*0="us"; name*1*=er%5Fid`), disposition(`name*0*=utf-8''us%65; name*1=r_id`),
			disposition(`name*0=us; x=y; name*1="er"; name*2=_id`), disposition("name*0=\"us\";\r\n name*1=\"er_id\""), disposition(`name * 0 = us;name*1=er_id`),
			disposition(`filename*0=us; filename*1=er_id`), disposition(`x="name*0=us; name*1=er_id"`), disposition(`name*0="us; name*1="er_id"`),
			disposition(`name*0="us\"; name*1=er_id`) + "\r\nX: name*0=user; name*1=_id", disposition(`name*0=us;name*1="e\r_id"`),
			disposition(`name*0="=?utf-8?b?dXNl"; name*1="cl9pZA==?="`), disposition(`name*0="=?utf-8?q?us?="; name*1="er_id"`),
			disposition(`name*0=%5Cu00; name*1=75ser_id`),
		}},
		{"in pieces that can be joined in several ways", true, []string{
			disposition(`name*1=x`), disposition(`name*0=x; name*2=y`), disposition(`name*1=y; name*0=x`), disposition(`name*0=x; name*0=y`),
			disposition(`name*00=x`), disposition(`name*0=x; name*01=y`), disposition(`name*0=x; name*99999999999999999999=y`),
			disposition(`filename*1*=x`), disposition(`NAME*0=x; name*0=y`),
		}},
		{"honest", false, []string{
			disposition(`name="file"; filename="photo.jpg"`), disposition(`name="file"; filename*=UTF-8''f%C3%B6.jpg`),
			disposition(`name="file"; filename="fo.jpg"; filename*=utf-8'de'f%C3%B6.jpg`), disposition(`name="a*b"; filename="5*3=15.png"`),
			disposition(`name="file"; filename="=?UTF-8?B?` + base64Of([]byte("Überweisung für Größe.pdf")) + `?="`),
			disposition("name=\"file\"; filename=\"=?UTF-8?B?" + base64Of([]byte("資料のお送りについて")) + "?=\r\n =?UTF-8?Q?=E3=81=AE=E4=BB=B6.pdf?=\""),
			disposition(`name="file"; filename="=?ISO-8859-1?Q?F=FCr_dich.txt?="`), disposition(`name="file"; filename="=?x?.jpg"; a="=?b?c?="`),
			disposition("name=\"file\";\r\n filename*0*=UTF-8''%D0%9E%D1%87%D0%B5%D0%BD%D1%8C;\r\n filename*1*=%20%D0%B4%D0%BB%D0%B8%D0%BD;\r\n filename*2=\".pdf\""),
			disposition(`name="file"; filename*0="a very long file "; filename*1="name with a * in it.pdf"`) + "\r\nContent-Type: application/pdf; name*0=\"a very\"; name*1=\" long\"",
			disposition(`name="file"; filename*=''x.jpg`), disposition(`name="file"; filename="a'b*c'd.txt"`), disposition(`name="2*name.txt"`),
			"Content-Type: text/plain; charset=utf-7\r\nContent-Transfer-Encoding: base64",
		}},
	} {
		for _, block := range c.blocks {
			for _, block := range []string{block, block + "\r\n", strings.ReplaceAll(block, "\r\n", "\n")} {
				if name, ok := set.StandInHeader([]byte(block), nil); ok != c.stands || ok && name != "user_id" {
					t.Errorf("%s: %q stands in %q: %v", c.what, name, block, ok)
				}
			}
		}
	}
}

// TestStandInHeaderLinear has blocks of a size that no reader of parts takes,
// which a search that is not linear would not end in.
func TestStandInHeaderLinear(t *testing.T) {
	set := names.Compile(watched)
	for _, part := range []string{
		"=?", "=?utf-8?q?", "=?utf-8?q?x\r\n", "=?utf-8?b?eA", "\n", "\r\n ", "*", "name*", "name*=", `name*0=\`, "name*0=x\r\n", " ", "name *",
		"=?utf-8?q?x?= ", "us\r\n ", "us\n", "=\r\n ", `\`, "%", "=?utf-8?q?name*0=x?=\n",
	} {
		if name, ok := set.StandInHeader(bytes.Repeat([]byte(part), 1<<20/len(part)), nil); ok {
			t.Errorf("%q stands in many of %q", name, part)
		}
	}
}
