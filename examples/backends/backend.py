import json
import os
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.request import urlopen

import jwt  # PyJWT, with cryptography

KEYS_URL, AUDIENCE, PORT = (os.environ.get(name) or sys.exit(name + " is not set: README.md says what it is")
                            for name in ["KEYS_URL", "AUDIENCE", "PORT"])
ISSUER = os.environ.get("ISSUER", "chat-identity")
keys, read, lock = {}, -300.0, threading.Lock()


class NoKeys(Exception):
    """That the keys could not be read says nothing about the request."""


def key(kid):
    """Kept for 5 minutes. One that is not there is looked for every 10 seconds at most."""
    global keys, read
    with lock:
        if time.monotonic() - read > (300 if kid in keys else 10):
            try:
                with urlopen(KEYS_URL, timeout=5) as answer:
                    keys = {k.key_id: k.key for k in jwt.PyJWKSet.from_dict(json.load(answer)).keys}
            except Exception as error:
                raise NoKeys(error) from error
            read = time.monotonic()
        return keys[kid]


def user(assertion):
    """Returns the user, which is widget and id together, or None for anybody else."""
    claims = jwt.decode(assertion, key(jwt.get_unverified_header(assertion)["kid"]), algorithms=["ES256"], leeway=30,
                        issuer=ISSUER, audience=AUDIENCE, options={"require": ["iss", "aud", "exp"]})
    return [claims["widget"], claims["sub"]] if claims["outcome"] == "verified" else None


class Backend(BaseHTTPRequestHandler):
    def do_GET(self):
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        try:
            self.answer(200, {"user": user(self.headers.get("X-Verified-Assertion", ""))})
        except (jwt.InvalidTokenError, LookupError) as error:
            self.refuse(401, "this request has no valid assertion of the gateway", error)
        except NoKeys as error:
            self.refuse(503, "the keys of the gateway cannot be read", error)

    do_POST = do_GET

    def refuse(self, status, text, error):
        print(f"no user is read from the assertion: {error!r}", file=sys.stderr)
        self.answer(status, {"error": text})

    def answer(self, status, body):
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(json.dumps(body).encode())

    def log_message(self, *_):
        pass


ThreadingHTTPServer(("127.0.0.1", int(PORT)), Backend).serve_forever()
