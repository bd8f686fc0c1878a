package command

import (
	"encoding/json"
	"os"
	"strings"
	"testing"
)

// TestExplainCases runs the mistakes that integrators have reported.
func TestExplainCases(t *testing.T) {
	text, err := os.ReadFile("../../testdata/cases/explain.json")
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Cases []struct {
			ID, What, Secret string
			Claim            json.RawMessage
			Names            bool `json:"names_the_mistake"`
		}
	}
	if err := json.Unmarshal(text, &file); err != nil || len(file.Cases) < 10 {
		t.Fatalf("%v: %d cases", err, len(file.Cases))
	}
	for _, c := range file.Cases {
		t.Run(c.ID, func(t *testing.T) {
			got, text := explained(t, run{secret: c.Secret, in: string(c.Claim)})
			if named := got.Mistake.ID != "" && !strings.Contains(text, "none of the common"); named != c.Names {
				t.Errorf("%s: named %v\n%s", c.What, named, text)
			}
			t.Log(got.Mistake.Text)
		})
	}
}
