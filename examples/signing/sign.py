import base64
import hmac
import json
import os
import pathlib
import re
import secrets
import subprocess
import sys
import tempfile
import time


def key(dialect):
    """The bytes of the secret's key."""
    secret = os.environ.get("CHAT_IDENTITY_SECRET", "")
    if not secret:
        raise ValueError("CHAT_IDENTITY_SECRET is not set")
    encoding = dialect.get("key_encoding")
    if encoding == "hex":
        return bytes.fromhex(secret)
    if encoding:  # base64 or base64url
        return base64.b64decode(secret.replace("-", "+").replace("_", "/") + "==")
    return secret.encode()


def encode(data, encoding):
    if encoding == "hex":
        return data.hex()
    if encoding == "base64":
        return base64.b64encode(data).decode()
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def fill(template, fields):
    """Fills in the {fields} of a template's texts. A text that the user lacks a field for is left out."""
    if isinstance(template, dict):
        filled = {name: fill(part, fields) for name, part in template.items()}
        return {name: part for name, part in filled.items() if part is not None}
    if not isinstance(template, str):
        return template
    if any(fields.get(field) in (None, "") for field in re.findall(r"{(\w+)}", template)):
        return None
    return re.sub(r"{(\w+)}", lambda field: str(fields[field[1]]), template)


# --- signature
def hash_claim(dialect, **user):
    """What your page sends for a user of your own session: hash_claim(DIALECT, user_id=user.id)."""
    length = dialect.get("nonce_length", 32)
    now = time.time()
    fields = {**user, "nonce": secrets.token_hex(length)[:length], "timestamp": int(now), "milliseconds": int(now * 1000)}
    message = fill(dialect["message"], fields)
    if message is None:
        raise ValueError(f"nobody is signed in: the user lacks a field of {dialect['message']}")
    fields["signature"] = encode(hmac.digest(key(dialect), message.encode(), "sha256"), dialect["encoding"])
    return fill(dialect["claim"], fields)


# --- token
def token_claim(dialect, **user):
    """What your page sends for a user of your own session: token_claim(DIALECT, user_id=user.id)."""
    if fill("{user_id}", user) is None:
        raise ValueError("nobody is signed in: the user lacks a user_id")
    algorithm, now = dialect["algorithm"], int(time.time())
    payload = {**fill(dialect["payload"], user), "iat": now, "exp": now + 3600}
    parts = {"alg": algorithm, "typ": "JWT"}, payload
    message = ".".join(encode(json.dumps(part).encode(), "base64url") for part in parts)
    hash_name = "sha" + algorithm[2:]
    if algorithm.startswith("HS"):
        signature = hmac.digest(key(dialect), message.encode(), hash_name)
    else:  # the secret is a private key in PEM, with which Python needs help
        if b"PRIVATE KEY-----" not in key(dialect):
            raise ValueError("CHAT_IDENTITY_SECRET is not a private key in PEM")
        with tempfile.NamedTemporaryFile() as file:
            file.write(message.encode())
            file.flush()
            command = ["openssl", "dgst", "-" + hash_name, "-sign", "/dev/stdin", file.name]
            signature = subprocess.run(command, input=key(dialect), stdout=subprocess.PIPE, check=True).stdout
    return fill(dialect["claim"], {"token": message + "." + encode(signature, "base64url")})


# --- command line: python3 sign.py <dialect> <field>=<value>...
if __name__ == "__main__":
    try:
        name, *args = sys.argv[1:] or [""]
        dialect = json.loads(pathlib.Path(__file__).with_name("dialects.json").read_text("utf-8")).get(name)
        if not dialect:
            raise ValueError("the first argument is not a dialect in dialects.json")
        if not all("=" in arg for arg in args):
            raise ValueError("write each field as <field>=<value>")
        claim = token_claim if "payload" in dialect else hash_claim
        print(json.dumps(claim(dialect, **dict(arg.split("=", 1) for arg in args))))
    except ValueError as err:
        sys.exit(f"sign.py: {err}")
