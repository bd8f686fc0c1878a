package main

import (
	"bufio"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
)

// startBackend starts what the gateway forwards to. It reads each request and sends
// a few bytes, with as little CPU as possible.
func startBackend() (net.Listener, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	go func() {
		for c, err := l.Accept(); err == nil; c, err = l.Accept() {
			go answerAll(c)
		}
	}()
	return l, nil
}

func answerAll(c net.Conn) {
	defer c.Close()
	in := bufio.NewReaderSize(c, 64<<10)
	for {
		length, _, err := readHead(in)
		if err == nil {
			_, err = in.Discard(length)
		}
		if err == nil {
			_, err = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
		}
		if err != nil {
			return
		}
	}
}

// readHead reads a head and returns the body's length and the first line.
func readHead(in *bufio.Reader) (length int, first string, err error) {
	for {
		line, err := in.ReadSlice('\n')
		if err != nil {
			return 0, "", err
		}
		text := strings.TrimRight(string(line), "\r\n")
		if first == "" {
			first = text
		}
		if text == "" {
			return length, first, nil
		}
		if name, value, _ := strings.Cut(text, ":"); strings.EqualFold(name, "Content-Length") {
			if length, err = strconv.Atoi(strings.TrimSpace(value)); err != nil {
				return 0, "", err
			}
		}
	}
}

// authorize is a verifier as one would be written for forward_auth, which does not see
// the body: the page has to send its claim in headers.
func authorize(w http.ResponseWriter, r *http.Request) {
	got, err := hex.DecodeString(r.Header.Get("X-User-Hash"))
	if err != nil || !hmac.Equal(got, sign(r.Header.Get("X-User-Id"))) {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	w.Header().Set("X-Verified-User", r.Header.Get("X-User-Id"))
}

func sign(user string) []byte {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(user))
	return mac.Sum(nil)
}
