package main

import (
	"fmt"
	"strings"
)

const (
	secret   = "the-secret-of-the-benchmark"
	user     = "user-123" // of widgetID
	widgetID = "default-widget"
)

// body is what clients send, with a valid signature, with another one and without any.
type body struct {
	name             string
	media            string
	signed, unsigned string
	unclaimed        string // as long, without a claim
	clients          int
	variants         []*variant
	large            bool // whether memory is measured with it
}

// chatText is what people write to a chat, as JSON: an escape about every hundred
// bytes, and non-ASCII characters as a browser's JSON.stringify leaves them.
var chatText = []string{
	`Hi, I ordered the “Montréal” lamp last Tuesday and it still says \"label created\". `,
	`Could you check? 🙏\n`,
	`The order number is 4417-88213, sent to my sister in Genève. `,
	`She says nobody rang the bell, though the app shows \"delivered\" since this morning…\n`,
	`Caf\u00e9 Zentrale, Königstraße 5, beside the bakery. `,
	`昨日も問い合わせましたが、まだ返事がありません。`,
	`If it is lost, please just refund me: I can’t wait any longer than Friday 😕. `,
	`Thanks a lot for your help, and have a nice day!\n`,
}

// plainText is ASCII without escapes.
var plainText = []string{"Where is my order? I have been waiting for it since last week. "}

// messages returns the chat messages that are measured. They begin with the claim, as
// widgets send it.
func messages() (all []body) {
	for _, size := range []struct {
		name  string
		bytes int
	}{{"300 B", 300}, {"4 KB", 4 << 10}, {"64 KB", 64 << 10}, {"1 MB", 1<<20 - 100}} {
		text := func(sentences []string) func(int) string {
			return func(room int) string { return `"text":"` + filled(sentences, room-len(`"text":""`)) + `"` }
		}
		all = append(all, message(size.name+", chat text", size.bytes, text(chatText)),
			message(size.name+", one long string", size.bytes, text(plainText)))
	}
	all = append(all, message("1 MB, small objects", 1<<20-100, objects))
	for _, i := range []int{0, 2} { // tokens come in a header, with messages as short as people write
		b := all[i]
		b.name, b.variants = b.name+", tokens", tokenVariants
		all = append(all, b)
	}
	b := all[0]
	b.name, b.variants = b.name+", assertions", userVariants
	all = append(all, b)
	for i := range all {
		all[i].large = len(all[i].signed) > 100<<10
	}
	return all
}

// message returns a message of that size. rest returns its last member, given the
// bytes that are left.
func message(name string, size int, rest func(room int) string) body {
	with := func(hash string) string {
		head := "{"
		if hash != "" {
			head = fmt.Sprintf(`{"user_id":"%s","user_hash":"%s",`, user, hash)
		}
		return head + rest(size-len(head)-1) + "}"
	}
	return body{
		name: name, media: "application/json", clients: connections, variants: messageVariants,
		signed: with(fmt.Sprintf("%x", sign(user))), unsigned: with(strings.Repeat("0", 64)), unclaimed: with(""),
	}
}

// filled returns so many bytes of the sentences, in turn. They are not cut, because
// that could be within an escape.
func filled(sentences []string, room int) string {
	var text strings.Builder
	for i := 0; text.Len()+len(sentences[i%len(sentences)]) <= room; i++ {
		text.WriteString(sentences[i%len(sentences)])
	}
	return text.String() + strings.Repeat(".", room-text.Len())
}

// objects returns a member with as many small objects as there is room for.
func objects(room int) string {
	var list strings.Builder
	for {
		object := fmt.Sprintf(`{"id":%d,"kind":"event","at":"2026-01-02T03:04:05Z","ok":true}`, list.Len())
		if list.Len()+len(object)+len(`"events":[],`) > room {
			return `"events":[` + strings.TrimSuffix(list.String(), ",") + `]`
		}
		list.WriteString(object + ",")
	}
}

// upload returns a form with a field and a file, such as a visitor's recording. A
// gateway has to read it to its end, because a claim may follow the file.
func upload() body {
	const size, boundary = 30 << 20, "----WebKitFormBoundary7MA4YWxkTrZu0gW"
	head := "--" + boundary + "\r\nContent-Disposition: form-data; name=\"conversation\"\r\n\r\nc-1\r\n" +
		"--" + boundary + "\r\nContent-Disposition: form-data; name=\"file\"; filename=\"clip.mp4\"\r\nContent-Type: video/mp4\r\n\r\n"
	tail := "\r\n--" + boundary + "--\r\n"
	file := make([]byte, size-len(head)-len(tail))
	state := uint64(1)
	for i := range file { // as random as a codec's output, for the search for boundaries
		state = state*6364136223846793005 + 1442695040888963407
		file[i] = byte(state >> 56)
	}
	return body{
		name: "30 MiB upload", media: "multipart/form-data; boundary=" + boundary, clients: uploadConnections,
		signed: head + string(file) + tail, variants: uploadVariants, large: true,
	}
}
