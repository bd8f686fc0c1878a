# Reports what Python's parsers read in requests. README.md in this folder describes
# the protocol. With the argument "all" it asks frameworks, too.
import base64
import email.message
import email.policy
import email.utils
import http.cookies
import io
import json
import logging
import os
import posixpath
import re
import socketserver
import sys
import urllib.parse
import warnings

warnings.simplefilter("ignore")
logging.disable()
try:
    import cgi
except ImportError:  # gone since Python 3.13
    cgi = None

WATCHED = [path[0].lower() for path in json.loads(os.environ["WATCHED"])]


def told(value):
    if isinstance(value, str):
        try:
            value = value.encode("utf-8", "surrogateescape")
        except UnicodeEncodeError:
            value = value.encode("utf-8", "surrogatepass")
    if isinstance(value, bytes):
        return "s" + base64.b64encode(value).decode()
    if isinstance(value, int) and not isinstance(value, bool):
        return "i" + str(value)
    return "x" + repr(value)[:200]


def text(name):
    if isinstance(name, bytes):
        name = name.decode("utf-8", "surrogateescape")
    return str(name).encode("utf-8", "replace").decode()


def leaves(path, value):
    """Yields the values below a path: [path, reported value]."""
    if value is None or value == "" or value == b"":
        return
    if len(path) < 8 and isinstance(value, dict) and value:
        for name, inner in value.items():
            yield from leaves(path + [text(name)], inner)
    elif len(path) < 8 and isinstance(value, list) and value:
        for i, inner in enumerate(value):
            yield from leaves(path + [str(i)], inner)
    else:
        yield [path, told(value)]


def pairs(fields):
    found = []
    for name, value in fields:
        name = text(name or "")
        if any(watched in name.lower() for watched in WATCHED):
            found += leaves([name], value)
    return found


def document(value):
    return pairs(value.items()) if isinstance(value, dict) else []


class Request:
    """A request as received, with its body in memory."""

    def __init__(self, head, stream):
        lines = head.split(b"\r\n")
        self.method, self.target, _ = lines[0].decode("latin-1").split(" ", 2)
        self.path, _, self.query = self.target.partition("?")
        self.headers = []
        for line in lines[1:]:
            name, _, value = line.decode("latin-1").partition(":")
            self.headers.append((name.lower(), value.strip()))
        self.body = stream.read(int(self.header("content-length") or 0))
        self.kind = self.header("content-type") or ""

    def header(self, name):
        return next((value for n, value in self.headers if n == name), None)

    def environ(self):
        """WSGI's environment. Servers keep the last Content-Type."""
        environ = {
            "REQUEST_METHOD": self.method, "SCRIPT_NAME": "", "PATH_INFO": urllib.parse.unquote_to_bytes(self.path).decode("latin-1"),
            "QUERY_STRING": self.query, "SERVER_NAME": "localhost", "SERVER_PORT": "80", "SERVER_PROTOCOL": "HTTP/1.1",
            "wsgi.version": (1, 0), "wsgi.url_scheme": "http", "wsgi.input": io.BytesIO(self.body), "wsgi.errors": sys.stderr,
            "wsgi.multithread": True, "wsgi.multiprocess": False, "wsgi.run_once": False, "CONTENT_LENGTH": str(len(self.body)),
        }
        for name, value in self.headers:
            key = "CONTENT_TYPE" if name == "content-type" else "HTTP_" + name.upper().replace("-", "_")
            if name != "content-length":
                environ[key] = environ[key] + "," + value if key in environ and key != "CONTENT_TYPE" else value
        return environ


def by_charset(r):
    header = email.message.Message()
    header["Content-Type"] = r.kind or "application/json"
    return document(json.loads(r.body.decode(header.get_content_charset("utf-8"))))


def parse_qs(source):
    return pairs((k, v) for k, vs in urllib.parse.parse_qs(source, keep_blank_values=True).items() for v in vs)


def message(policy):
    def parse(r):
        whole = email.message_from_bytes(b"Content-Type: " + r.kind.encode("latin-1") + b"\r\n\r\n" + r.body, policy=policy)
        fields = []
        for part in whole.get_payload() if whole.is_multipart() else []:
            name = part.get_param("name", header="content-disposition")
            if isinstance(name, tuple):
                name = email.utils.collapse_rfc2231_value(name)
            fields.append((name, part.get_payload(decode=True) if part.get_filename() is None else ("file",)))
        return pairs(fields)
    return parse


def field_storage(r):
    form = cgi.FieldStorage(io.BytesIO(r.body), environ={"REQUEST_METHOD": "POST"}, keep_blank_values=True,
                            headers={"content-type": r.kind, "content-length": str(len(r.body))}, encoding="utf-8", errors="surrogateescape")
    return pairs((f.name, ("file",) if f.filename or not isinstance(f.value, (str, bytes)) else f.value) for f in form.list or [])


def simple_cookie(r):
    return pairs((name, morsel.value) for name, morsel in http.cookies.SimpleCookie(r.header("cookie")).items())


def routed(path):
    """Reads the path as a backend's route does."""
    found = re.match("/chat/c/([^/]+)", path)
    return [[["conversation_id"], told(found[1])]] if found else []


def is_form(r):
    return "urlencoded" in r.kind.lower()


def is_multipart(r):
    return "multipart" in r.kind.lower()


def always(r):
    return True


# Each parser: where it reads, whether it applies, and what it reads.
PARSERS = {
    "json.loads": ("json", always, lambda r: document(json.loads(r.body))),
    "json.loads by charset": ("json", always, by_charset),
    "json.loads utf-8-sig": ("json", always, lambda r: document(json.loads(r.body.decode("utf-8-sig")))),
    "parse_qs": ("form", is_form, lambda r: parse_qs(r.body.decode("utf-8", "surrogateescape"))),
    "parse_qs bytes": ("form", is_form, lambda r: parse_qs(r.body)),
    "email": ("form", is_multipart, message(email.policy.compat32)),
    "email HTTP": ("form", is_multipart, message(email.policy.HTTP)),
    "parse_qs of the query": ("query", always, lambda r: parse_qs(r.query.encode("latin-1").decode("utf-8", "surrogateescape"))),
    "parse_qs bytes of the query": ("query", always, lambda r: parse_qs(r.query.encode("latin-1"))),
    "normpath": ("path", always, lambda r: routed(posixpath.normpath(urllib.parse.unquote(r.path)))),
    "SimpleCookie": ("cookie", always, simple_cookie),
}
if cgi:
    PARSERS["cgi"] = ("form", lambda r: is_form(r) or is_multipart(r), field_storage)


def add_frameworks():
    import asyncio
    import tempfile
    import threading
    import unittest.mock

    import bottle
    import django
    import django.conf
    import falcon
    import simplejson
    import starlette.requests
    import tornado.httputil
    import webob
    import werkzeug.routing
    import werkzeug.wrappers
    from aiohttp.http import HttpVersion11, RawRequestMessage
    from aiohttp.streams import StreamReader
    from aiohttp.web import BaseRequest
    from multidict import CIMultiDict, CIMultiDictProxy
    from yarl import URL
    from django.core.handlers.wsgi import WSGIRequest

    django.conf.settings.configure(ALLOWED_HOSTS=["*"], FILE_UPLOAD_TEMP_DIR=tempfile.gettempdir(), USE_I18N=False)
    django.setup()

    loops = threading.local()

    def run(coroutine):
        if not hasattr(loops, "loop"):
            loops.loop = asyncio.new_event_loop()
        return loops.loop.run_until_complete(coroutine)

    def multi(values, files=None):
        fields = [(name, value) for name, vs in values for value in vs]
        return pairs(fields + [(name, ("file",)) for name in files or []])

    def django_request(r):
        return WSGIRequest(r.environ())

    def django_post(r):
        request = django_request(r)
        return multi(request.POST.lists(), request.FILES)

    def flask(r):
        request = werkzeug.wrappers.Request(r.environ())
        return multi(request.form.lists(), request.files)

    routes = werkzeug.routing.Map([werkzeug.routing.Rule("/chat/c/<conversation>", endpoint="chat", strict_slashes=False)])

    def flask_route(r):
        _, values = routes.bind("localhost").match(urllib.parse.unquote(r.path))
        return [[["conversation_id"], told(values["conversation"])]]

    def tornado_headers(r):
        headers = tornado.httputil.HTTPHeaders()
        for name, value in r.headers:
            headers.add(name, value)
        return headers

    def tornado_body(r):
        arguments, files, headers = {}, {}, tornado_headers(r)
        tornado.httputil.parse_body_arguments(headers.get("Content-Type", ""), r.body, arguments, files, headers)
        return multi(arguments.items(), files)

    def tornado_query(r):
        request = tornado.httputil.HTTPServerRequest(method=r.method, uri=r.target, headers=tornado_headers(r))
        return multi(request.query_arguments.items())

    def asgi(r):
        async def receive():
            return {"type": "http.request", "body": r.body, "more_body": False}
        headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in r.headers]
        scope = {"type": "http", "method": r.method, "path": r.path, "query_string": r.query.encode("latin-1"), "headers": headers}
        return starlette.requests.Request(scope, receive)

    def starlette_form(r):
        async def read():
            form = await asgi(r).form()
            return pairs((name, value if isinstance(value, str) else ("file",)) for name, value in form.multi_items())
        return run(read())

    unused = unittest.mock.Mock(max_field_size=8190, max_headers=128)

    def aiohttp_post(r):
        async def read():
            reader = StreamReader(unittest.mock.Mock(_reading_paused=False), 1 << 20, loop=asyncio.get_running_loop())
            reader.feed_data(r.body)
            reader.feed_eof()
            raw = tuple((name.encode("latin-1"), value.encode("latin-1")) for name, value in r.headers)
            message = RawRequestMessage(r.method, r.target, HttpVersion11, CIMultiDictProxy(CIMultiDict(r.headers)), raw, True, None, False, False, URL("http://x/"))
            fields = await BaseRequest(message, reader, unused, unused, unused, asyncio.get_running_loop()).post()
            return pairs((name, value if isinstance(value, (str, bytes, bytearray)) else ("file",)) for name, value in fields.items())
        return run(read())

    def falcon_request(r):
        options = falcon.RequestOptions()
        options.keep_blank_qs_values = True
        options.auto_parse_form_urlencoded = True
        return falcon.Request(r.environ(), options=options)

    def falcon_parts(r):
        return pairs((part.name, ("file",) if part.filename else part.stream.read()) for part in falcon_request(r).get_media())

    def bottle_forms(r):
        request = bottle.BaseRequest(r.environ())
        return pairs([(name, value) for name, value in request.forms.decode().allitems()] + [(name, ("file",)) for name in request.files])

    def webob_post(r):
        request = webob.Request(r.environ())
        return pairs((name, value if isinstance(value, str) else ("file",)) for name, value in request.POST.items())

    PARSERS.update({
        "simplejson": ("json", always, lambda r: document(simplejson.loads(r.body))),
        "django POST": ("form", always, django_post),
        "django GET": ("query", always, lambda r: multi(django_request(r).GET.lists())),
        "django COOKIES": ("cookie", always, lambda r: pairs(django_request(r).COOKIES.items())),
        "flask form": ("form", always, flask),
        "flask json": ("json", always, lambda r: document(werkzeug.wrappers.Request(r.environ()).get_json(force=True, silent=True))),
        "flask route": ("path", always, flask_route),
        "flask args": ("query", always, lambda r: multi(werkzeug.wrappers.Request(r.environ()).args.lists())),
        "flask cookies": ("cookie", always, lambda r: pairs(werkzeug.wrappers.Request(r.environ()).cookies.items())),
        "tornado body": ("form", always, tornado_body),
        "tornado query": ("query", always, tornado_query),
        "tornado cookies": ("cookie", always, lambda r: pairs(tornado.httputil.parse_cookie(r.header("cookie") or "").items())),
        "starlette form": ("form", always, starlette_form),
        "starlette query": ("query", always, lambda r: pairs(asgi(r).query_params.multi_items())),
        "starlette cookies": ("cookie", always, lambda r: pairs(asgi(r).cookies.items())),
        "aiohttp post": ("form", always, aiohttp_post),
        "falcon parts": ("form", is_multipart, falcon_parts),
        "falcon params": ("merged", always, lambda r: pairs(falcon_request(r).params.items())),
        # It reads a body of any type as a form, which no gateway can know.
        "bottle forms": ("form", lambda r: is_form(r) or is_multipart(r), bottle_forms),
        "bottle json": ("json", always, lambda r: document(bottle.BaseRequest(r.environ()).json)),
        "bottle query": ("query", always, lambda r: pairs(bottle.BaseRequest(r.environ()).query.allitems())),
        "bottle cookies": ("cookie", always, lambda r: pairs(bottle.BaseRequest(r.environ()).cookies.items())),
        "webob POST": ("form", always, webob_post),
        "webob json": ("json", always, lambda r: document(webob.Request(r.environ()).json_body)),
        "webob params": ("merged", always, lambda r: pairs(webob.Request(r.environ()).params.items())),
        "webob cookies": ("cookie", always, lambda r: pairs(webob.Request(r.environ()).cookies.items())),
    })


def answer(r):
    found = {}
    for name, (place, asked, parse) in PARSERS.items():
        if asked(r):
            try:
                found["python " + name] = {"place": place, "fields": parse(r)}
            except Exception as fault:
                found["python " + name] = {"place": place, "fields": None, "fault": repr(fault)[:200]}
    return found


class Handler(socketserver.StreamRequestHandler):
    def handle(self):
        while head := self.head():
            body = json.dumps(answer(Request(head, self.rfile))).encode()
            self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
            self.wfile.flush()

    def head(self):
        lines = []
        while line := self.rfile.readline():
            if line == b"\r\n":
                return b"\r\n".join(lines)
            lines.append(line.rstrip(b"\r\n"))
        return None


class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = daemon_threads = True
    request_queue_size = 128


if "all" in sys.argv:
    add_frameworks()
with Server(("127.0.0.1", 0), Handler) as server:
    print("python", server.server_address[1], flush=True)
    server.serve_forever()
