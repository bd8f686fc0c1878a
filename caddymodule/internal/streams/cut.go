package streams

import (
	"net"
	"net/http"
	"time"
)

// CloseConn closes a connection at once. With TLS, closing may wait for seconds until a peer
// that reads nothing takes the last alert, so the connection below is closed.
func CloseConn(conn net.Conn) {
	for {
		above, ok := conn.(interface{ NetConn() net.Conn })
		if !ok {
			break
		}
		conn = above.NetConn()
	}
	_ = conn.Close() // it may be closed already
}

// Interrupt has reads and writes of an exchange fail, those that are under way as well: over
// HTTP/2 the stream is reset, and over HTTP/3 it is once its handler returns. It may be called
// while the handler runs, so it sets the deadlines of the server's own writer: writers around
// it that keep deadlines, too, do so without a lock.
func Interrupt(w http.ResponseWriter) {
	for {
		wrapper, ok := w.(interface{ Unwrap() http.ResponseWriter })
		if !ok {
			break
		}
		w = wrapper.Unwrap()
	}
	control, past := http.NewResponseController(w), time.Unix(1, 0)
	_ = control.SetWriteDeadline(past)
	_ = control.SetReadDeadline(past)
}
