import json
import os
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.request import urlopen

import jwt  # PyJWT, with cryptography

keys, read, lock = {}, -300.0, threading.Lock()


def key(kid):
    """Kept for 5 minutes. One that is not there is looked for every 10 seconds at most."""
    global keys, read
    with lock:
        if time.monotonic() - read > (300 if kid in keys else 10):
            with urlopen(os.environ["KEYS_URL"], timeout=5) as answer:
                keys = {k.key_id: k.key for k in jwt.PyJWKSet.from_dict(json.load(answer)).keys}
            read = time.monotonic()
        return keys[kid]


def user(assertion):
    """Returns the user, which is widget and id together, or None for anybody else."""
    claims = jwt.decode(assertion, key(jwt.get_unverified_header(assertion)["kid"]), algorithms=["ES256"], leeway=5,
                        issuer="chat-identity", audience=os.environ["AUDIENCE"], options={"require": ["iss", "aud", "exp"]})
    return [claims["widget"], claims["sub"]] if claims["outcome"] == "verified" else None


class Backend(BaseHTTPRequestHandler):
    def do_GET(self):
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        try:
            self.answer(200, {"user": user(self.headers.get("X-Verified-Assertion", ""))})
        except (jwt.InvalidTokenError, LookupError):
            self.answer(401, {"error": "this request has no valid assertion of the gateway"})
        except OSError:
            self.answer(503, {"error": "the keys of the gateway cannot be read"})

    do_POST = do_GET

    def answer(self, status, body):
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(json.dumps(body).encode())

    def log_message(self, *_):
        pass


ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Backend).serve_forever()
