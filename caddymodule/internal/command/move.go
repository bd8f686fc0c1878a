package command

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"

	"github.com/go-json-experiment/json"
	"github.com/spf13/cobra"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/adminapi"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/filestore"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/widgets"
)

// errNotImported fails an import that left something out, which standard output
// lists already.
var errNotImported = errors.New("some widgets are already stored, but differ: see --replace")

func exportCommand() *cobra.Command {
	var admin adminFlags
	cmd := &cobra.Command{
		Use:  "export",
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := admin.client()
			if err != nil {
				return err
			}
			pages, err := c.pages(cmd.Context(), adminapi.Path+"export?after=")
			if err != nil {
				return err
			}
			records := make([]*widgets.Record, len(pages))
			for i, text := range pages {
				if err := json.Unmarshal(text, &records[i]); err != nil || records[i].Check() != nil {
					return c.unexpectedAnswer(&apiRequest{})
				}
			}
			return filestore.Write(cmd.OutOrStdout(), records)
		},
	}
	return admin.addConfig(admin.addAddress(cmd))
}

func importCommand() *cobra.Command {
	var admin adminFlags
	var replace, missingKeys bool
	cmd := &cobra.Command{
		Use:  "import [--replace] [--missing-keys]",
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			records, err := filestore.Read(cmd.InOrStdin())
			if err != nil {
				return fmt.Errorf("standard input is not a complete export: %w", err)
			}
			c, err := admin.client()
			if err != nil {
				return err
			}
			records = keysFirst(slices.DeleteFunc(records, func(r *widgets.Record) bool { return r.ID == widgets.SigningKeysID }))
			all := adminapi.Imported{MissingKeys: map[string]int{}}
			for len(records) > 0 {
				n := min(len(records), adminapi.MovePage)
				var done adminapi.Imported
				if _, _, err := c.ask(cmd.Context(), &apiRequest{
					method: http.MethodPost, path: fmt.Sprintf("%simport?replace=%t&missing_keys=%t", adminapi.Path, replace, missingKeys), body: records[:n],
					lost: "it is safe to import again", limit: writingLimit,
				}, &done); err != nil {
					if n := all.Imported + all.Unchanged + len(all.Kept); n > 0 {
						err = fmt.Errorf("after %d widgets: %w", n, err)
					}
					return err
				}
				all.Imported += done.Imported
				all.Unchanged += done.Unchanged
				all.Kept = append(all.Kept, done.Kept...)
				for keyID, secrets := range done.MissingKeys {
					all.MissingKeys[keyID] += secrets
				}
				records = records[n:]
			}
			return printImported(cmd, &all, admin.output)
		},
	}
	cmd.Flags().BoolVar(&replace, "replace", false, "Replace stored widgets that differ")
	cmd.Flags().BoolVar(&missingKeys, "missing-keys", false, "Import secrets that the gateway cannot decrypt, too")
	return admin.addStore(cmd)
}

// keysFirst moves a record of each encryption key to the front, so that a gateway that lacks
// a key refuses the first page, before anything is stored.
func keysFirst(records []*widgets.Record) []*widgets.Record {
	seen := map[string]bool{}
	var first, rest []*widgets.Record
	for _, record := range records {
		known := len(seen)
		for i := range record.Secrets {
			seen[record.Secrets[i].KeyID] = true
		}
		if len(seen) > known {
			first = append(first, record)
		} else {
			rest = append(rest, record)
		}
	}
	return append(first, rest...)
}

func printImported(cmd *cobra.Command, i *adminapi.Imported, out output) error {
	rows := [][]string{{"imported:", fmt.Sprint(i.Imported)}, {"unchanged:", fmt.Sprint(i.Unchanged)}}
	for _, id := range i.Kept {
		rows = append(rows, []string{"kept:", plain(id)})
	}
	if err := out.print(cmd, i, func(w io.Writer) error { return writeTable(w, rows) }); err != nil {
		return err
	}
	for _, keyID := range slices.Sorted(maps.Keys(i.MissingKeys)) {
		cmd.PrintErrf("%s cannot be decrypted: encryption key %s is missing. \"caddy chat-identity show\" of a widget says what to do\n",
			adminapi.Count(uint64(i.MissingKeys[keyID]), "secret"), plain(keyID))
	}
	if len(i.Kept) > 0 {
		cmd.SilenceErrors = out.json
		return errNotImported
	}
	return nil
}
