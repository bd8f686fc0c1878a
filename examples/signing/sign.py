import base64
import hashlib
import hmac
import json
import os
import sys
import time


def _hmac(user_id: str | int, message: str) -> "hmac.HMAC":
    secret = os.environ.get("CHAT_IDENTITY_SECRET")
    if not secret:
        raise ValueError("CHAT_IDENTITY_SECRET is not set")
    if user_id is None or user_id == "":
        raise ValueError("the user id is empty")
    return hmac.new(secret.encode(), message.encode(), hashlib.sha256)


def user_hash(user_id: str | int) -> str:
    return _hmac(user_id, str(user_id)).hexdigest()


def user_token(user_id: str | int, **claims) -> str:
    def base64url(data: bytes) -> str:
        return base64.urlsafe_b64encode(data).rstrip(b"=").decode()

    now = int(time.time())
    payload = {**claims, "sub": str(user_id), "iat": now, "exp": now + 3600}
    message = ".".join(base64url(json.dumps(part).encode()) for part in ({"alg": "HS256", "typ": "JWT"}, payload))
    return message + "." + base64url(_hmac(user_id, message).digest())


if __name__ == "__main__":
    try:
        sign, args = user_hash, sys.argv[1:]
        if args[:1] == ["--token"]:
            sign, args = user_token, args[1:]
        print(sign(args[0] if args else ""))
    except ValueError as err:
        sys.exit(f"sign.py: {err}")
