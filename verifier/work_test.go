package verifier

import (
	"strings"
	"testing"
)

// TestSearchIsBounded: what has more readings than any honest text is not read to
// its end. It cannot be told what stands there, and takes no longer than texts do.
func TestSearchIsBounded(t *testing.T) {
	r := newReader(t, "", Place{Field: UserID, Location: atBody, Name: "/user_id"}, Place{Field: Signature, Location: atBody, Name: "/user_hash"})
	const length = 8 << 20
	backslashes := strings.Repeat(`\`, 7900)
	for name, c := range map[string]struct {
		text   string
		stands bool
	}{
		"backslashes":               {backslashes, true},
		"escapes of escapes":        {`\u\u0025`, true},
		"pieces in words, folded":   {"--\nA: x\n =?utf-8?q?; name*0=2A0=22" + backslashes + "=22?=\n\n", true},
		"Cyrillic in JSON":          {`\u0430\u0431\u0432`, false},
		"Cyrillic in a form":        {"%D0%B1%D1%82", false},
		"Cyrillic in a header":      {"--\nContent-Disposition: attachment; filename=\"=?utf-8?q?=D0=B1=D0=B2?=\"\n\ntext and text and text and text and text\n", false},
		"Cyrillic in pieces":        {"--\nContent-Disposition: attachment;\n filename*0*=utf-8''%D0%B1;\n filename*1*=%D0%B1\n\n" + strings.Repeat("text ", 40), false},
		"comments of SQL":           {"-- * comment\nINSERT INTO t VALUES ('x\\'y', 12);\n", false},
		"paths of Windows, in JSON": {`C:\\Users\\me\\file.txt","`, false},
	} {
		search, piece := r.newSearch(true), []byte(strings.Repeat(c.text, 1+(64<<10)/len(c.text)))
		for written := 0; written < length; written += len(piece) {
			_, _ = search.Write(piece)
		}
		if found, stands := search.end(); stands != c.stands {
			t.Errorf("%s: %q stands: %t", name, found, stands)
		}
	}
}

// TestSearchFarPieces: a name in pieces that are farther apart than what is looked at at a
// time stands wherever the first may begin.
func TestSearchFarPieces(t *testing.T) {
	r := newReader(t, "", Place{Field: UserID, Location: atBody, Name: "/user_id"}, Place{Field: Signature, Location: atBody, Name: "/user_hash"})
	far := strings.Repeat(" ", 2*maxBlock)
	between := "; x=y" + far + "y;\n "
	for text, want := range map[string]bool{
		"name*0=us" + between + "name*1=er_id":                      true,
		"name*0" + far + "=us;\n name*1" + far + "=er_id":           true,
		"name*0\n" + far + "=us;\n name*1\n" + far + "=er_id":       true,
		"name=\"=?utf-8?q?us?=" + far + "=?utf-8?q?er_id?=\"":       true,
		"name=us" + between + "2 * 3 =? 4" + between + "name=er_id": false,
	} {
		search := r.newSearch(true)
		_, _ = search.Write([]byte("--b\nContent-Disposition: form-data; " + text + "\n\n1\n--b--\n"))
		if _, stands := search.end(); stands != want {
			t.Errorf("%.60q stands: %t", text, stands)
		}
	}
}
