# A chat backend that verifies for itself.
import hmac, json, os
from wsgiref.simple_server import make_server

def chat(environ, start_response):
    claim = json.loads(environ['wsgi.input'].read(int(environ['CONTENT_LENGTH'] or 0)) or '{}')
    expected = hmac.new(os.environ['SECRET'].encode(), claim['user_id'].encode(), 'sha256').hexdigest()
    verified = hmac.compare_digest(claim['user_hash'], expected)
    start_response('200 OK' if verified else '401 Unauthorized', [('Content-Type', 'text/plain; charset=utf-8')])
    return [f"hello {claim['user_id']}!\n".encode() if verified else b'refused\n']

make_server('127.0.0.1', int(os.environ['PORT']), chat).serve_forever()
