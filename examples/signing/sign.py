import hashlib
import hmac
import os
import sys


def user_hash(user_id: str | int) -> str:
    secret = os.environ.get("CHAT_IDENTITY_SECRET")
    if not secret:
        raise ValueError("CHAT_IDENTITY_SECRET is not set")
    if user_id is None or user_id == "":
        raise ValueError("the user id is empty")
    return hmac.new(secret.encode(), str(user_id).encode(), hashlib.sha256).hexdigest()


if __name__ == "__main__":
    try:
        print(user_hash(sys.argv[1] if len(sys.argv) > 1 else ""))
    except ValueError as err:
        sys.exit(f"sign.py: {err}")
