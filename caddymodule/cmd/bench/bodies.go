package main

import (
	"crypto/hmac"
	"crypto/sha256"
	"fmt"
	"strings"
)

const (
	// secret signs; the gateway has it from its environment.
	secret = "the-secret-of-the-benchmark"
	// user is who is verified, as a user of widgetID.
	user     = "user-123"
	widgetID = "default-widget"
)

// body is what clients send, with and without a right signature.
type body struct {
	name             string
	media            string
	signed, unsigned string
	clients          int
	variants         []*variant
	large            bool // whether it tells how much memory a body takes
}

// chatText is what people write to a chat, as JSON has it: an escape about every
// hundred bytes, and beyond ASCII what a browser's JSON.stringify leaves as it is.
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

// plainText needs no escape and is ASCII throughout.
var plainText = []string{"Where is my order? I have been waiting for it since last week. "}

// messages returns the chat messages that are measured. The claim stands in
// front, as widgets send it.
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
	for i := range all {
		all[i].large = len(all[i].signed) > 100<<10
	}
	return all
}

// message makes a message of that size, whose last member is what rest returns
// for the room that is left.
func message(name string, size int, rest func(room int) string) body {
	make := func(hash string) string {
		head := fmt.Sprintf(`{"user_id":"%s","user_hash":"%s",`, user, hash)
		return head + rest(size-len(head)-1) + "}"
	}
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(user))
	return body{
		name: name, media: "application/json", clients: connections, variants: messageVariants,
		signed: make(fmt.Sprintf("%x", mac.Sum(nil))), unsigned: make(strings.Repeat("0", 64)),
	}
}

// filled returns so many bytes of the sentences, in turn; whole ones, since a cut
// could fall into an escape.
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

// upload returns a photo or a recording that a visitor sends along: a form with
// fields and a file, which a gateway has to read to its end, since a claim may
// stand behind the file.
func upload() body {
	const size, boundary = 30 << 20, "----WebKitFormBoundary7MA4YWxkTrZu0gW"
	head := "--" + boundary + "\r\nContent-Disposition: form-data; name=\"conversation\"\r\n\r\nc-1\r\n" +
		"--" + boundary + "\r\nContent-Disposition: form-data; name=\"file\"; filename=\"clip.mp4\"\r\nContent-Type: video/mp4\r\n\r\n"
	tail := "\r\n--" + boundary + "--\r\n"
	file := make([]byte, size-len(head)-len(tail))
	state := uint64(1)
	for i := range file { // what a codec makes, as far as a search for boundaries can tell
		state = state*6364136223846793005 + 1442695040888963407
		file[i] = byte(state >> 56)
	}
	return body{
		name: "30 MiB upload", media: "multipart/form-data; boundary=" + boundary, clients: uploadConnections,
		signed: head + string(file) + tail, variants: uploadVariants, large: true,
	}
}
