package dashboard

import (
	"bytes"
	"encoding/json"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/chatidentity/caddy-chat-identity/verifier"
)

// TestSignersDialects: dialects.json of examples/signing is the built-in dialects', by
// name; those with two proofs are there by token, too. UPDATE=1 writes it.
func TestSignersDialects(t *testing.T) {
	const file = "../../../../examples/signing/dialects.json"
	signers := make(map[string]*signer)
	for _, d := range verifier.Dialects {
		signers[d.Name] = (&Site{Dialect: d}).signer()
		if d.TakesToken() && d.Message != "" {
			d.Proof = "token"
			signers[d.Name+"-token"] = (&Site{Dialect: d}).signer()
		}
	}
	var lines []string
	for _, name := range slices.Sorted(maps.Keys(signers)) {
		var line bytes.Buffer
		encoder := json.NewEncoder(&line)
		encoder.SetEscapeHTML(false)
		if err := encoder.Encode(signers[name]); err != nil {
			t.Fatal(err)
		}
		lines = append(lines, `  "`+name+`": `+strings.TrimSpace(line.String()))
	}
	want := []byte("{\n" + strings.Join(lines, ",\n") + "\n}\n")
	if os.Getenv("UPDATE") != "" {
		if err := os.WriteFile(file, want, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := os.ReadFile(file); err != nil || !bytes.Equal(got, want) {
		t.Errorf("%v: %s is not what the dialects say: run this test with UPDATE=1", err, file)
	}
}
