// Reports what Node's parsers read in requests. README.md in this folder describes
// the protocol. With the argument "all" it asks packages, too.
'use strict';
const http = require('http');
const net = require('net');
const os = require('os');
const { posix, win32 } = require('path');
const querystring = require('querystring');
const { Writable } = require('stream');

const paths = JSON.parse(process.env.WATCHED);
const watched = paths.map((path) => path[0].toLowerCase());

function told(value) {
  if (Buffer.isBuffer(value)) return 's' + value.toString('base64');
  if (typeof value === 'string') return 's' + Buffer.from(value, 'utf8').toString('base64');
  if (Number.isInteger(value)) return 'i' + String(value);
  return 'x' + String(JSON.stringify(value)).slice(0, 200);
}

// The values below a path: [path, reported value].
function leaves(path, value) {
  if (value === undefined || value === null || value === '') return [];
  const inner = typeof value === 'object' && !Buffer.isBuffer(value) ? Object.entries(value) : [];
  if (path.length < 8 && inner.length > 0) return inner.flatMap(([name, v]) => leaves([...path, name], v));
  return [[path, told(value)]];
}
const isWatched = (name) => watched.some((one) => String(name).toLowerCase().includes(one));
const pairs = (fields) => [...fields].filter(([name]) => isWatched(name)).flatMap(([name, value]) => leaves([String(name)], value));
const document = (value) => (value && typeof value === 'object' && !Array.isArray(value) ? pairs(Object.entries(value)) : []);
// For parsers that turn dots into objects: only exact paths count.
const exactly = (value) => document(value).filter(([path]) => paths.some((one) => one.join('\0') === path.join('\0')));
const file = {};

// querystring and qs return an array for a repeated name: each value is reported.
const repeated = (read) => pairs(Object.entries(read).flatMap(([name, value]) => [].concat(value).map((one) => [name, one])));

const formData = async (r) =>
  pairs([...(await new Response(r.body, { headers: { 'content-type': r.type } }).formData())]
    .map(([name, value]) => [name, typeof value === 'string' ? value : file]));

// Reads the path as a backend's route does.
const routed = (path) => {
  const found = /^\/chat\/c\/([^/]+)/.exec(path);
  return found ? [[['conversation_id'], told(found[1])]] : [];
};

const isForm = (r) => /urlencoded/i.test(r.type);
const isMultipart = (r) => /multipart/i.test(r.type);
const isJSON = (r) => /json/i.test(r.type);
const always = () => true;
const maxKeys = { maxKeys: 0 };

// Each parser: where it reads, whether it applies, and what it reads.
const parsers = {
  'JSON.parse': ['json', always, (r) => document(JSON.parse(r.body.toString('utf8')))],
  'Response.json': ['json', always, async (r) => document(await new Response(r.body).json())],
  URLSearchParams: ['form', isForm, (r) => pairs(new URLSearchParams(r.body.toString('utf8')))],
  'URLSearchParams of decoded text': ['form', isForm, (r) => pairs(new URLSearchParams(new TextDecoder().decode(r.body)))],
  querystring: ['form', isForm, (r) => repeated(querystring.parse(r.body.toString('utf8'), '&', '=', maxKeys))],
  formData: ['form', (r) => isForm(r) || isMultipart(r), formData],
  'URLSearchParams of the query': ['query', always, (r) => pairs(new URLSearchParams(Buffer.from(r.query, 'latin1').toString('utf8')))],
  'querystring of the query': ['query', always, (r) => repeated(querystring.parse(Buffer.from(r.query, 'latin1').toString('utf8'), '&', '=', maxKeys))],
  'URL path': ['path', always, (r) => routed(decodeURIComponent(new URL('http://x' + r.target).pathname))],
  'path.normalize': ['path', always, (r) => routed(posix.normalize(decodeURIComponent(r.target.split('?')[0])))],
  'path.win32.normalize': ['path', always, (r) => routed(win32.normalize(decodeURIComponent(r.target.split('?')[0])).replaceAll('\\', '/'))],
  URL: ['query', always, (r) => pairs(new URL('http://x/?' + r.query).searchParams)],
};

function addPackages() {
  const express = require('express');
  const busboy = require('busboy');
  const coBody = require('co-body');
  const cookie = require('cookie');
  const { formidable } = require('formidable');
  const JSON5 = require('json5');
  const multer = require('multer');
  const multiparty = require('multiparty');
  const qs = require('qs');

  // A request in the form that packages expect of Node's server.
  const incoming = (r) => {
    const request = new http.IncomingMessage(new net.Socket());
    Object.assign(request, { method: r.method, url: r.target, headers: { ...r.headers }, rawHeaders: r.rawHeaders, complete: true });
    request.headers['content-length'] = String(r.body.length);
    delete request.headers['transfer-encoding'];
    request.push(r.body);
    request.push(null);
    return request;
  };
  const middleware = (handler, r, found) =>
    new Promise((resolve, reject) => {
      const request = incoming(r);
      handler(request, new http.ServerResponse(request), (fault) => (fault ? reject(fault) : resolve(found(request))));
    });
  const files = (list) => (list || []).map((f) => [f.fieldname, file]);
  const bodyParser = (handler) => (r) => middleware(handler, r, (request) => document(request.body));
  const upload = multer({ storage: multer.memoryStorage() }).any();

  // A handler gets the fields before it learns that the rest cannot be read.
  const streamed = (r) =>
    new Promise((resolve) => {
      const fields = [];
      const parser = busboy({ headers: r.headers });
      const end = () => resolve(pairs(fields));
      parser.on('field', (name, value) => fields.push([name, value]));
      parser.on('file', (name, stream) => {
        fields.push([name, file]);
        stream.on('error', end).resume();
      });
      parser.on('close', end).on('error', end).end(r.body);
    });
  const parts = (r) =>
    new Promise((resolve, reject) => {
      const fields = [];
      const form = new multiparty.Form();
      form.on('part', (part) => {
        if (part.filename !== undefined) {
          fields.push([part.name, file]);
          return part.on('error', reject).resume();
        }
        const chunks = [];
        part.on('data', (chunk) => chunks.push(chunk)).on('error', reject).on('end', () => fields.push([part.name, Buffer.concat(chunks)]));
      });
      form.on('close', () => resolve(pairs(fields))).on('error', reject).parse(incoming(r));
    });
  const formidableFields = async (r) => {
    const [fields, uploaded] = await formidable({ uploadDir: os.tmpdir(), allowEmptyFiles: true, minFileSize: 0, hashAlgorithm: false, fileWriteStreamHandler: discard })
      .parse(incoming(r));
    // It takes a part with a type and no file name for a file.
    return [...(isJSON(r) ? document : repeated)(fields), ...pairs(Object.entries(uploaded).filter(([, list]) => list.some((f) => f.originalFilename)).map(([name]) => [name, file]))];
  };
  const discard = () => new Writable({ write: (chunk, encoding, done) => done() });

  Object.assign(parsers, {
    JSON5: ['json', always, (r) => document(JSON5.parse(r.body.toString('utf8')))],
    'express json': ['json', always, bodyParser(express.json({ type: always }))],
    'express json not strict': ['json', always, bodyParser(express.json({ type: always, strict: false }))],
    'express urlencoded': ['form', isForm, bodyParser(express.urlencoded({ type: always, extended: false }))],
    'express urlencoded extended': ['form', isForm, bodyParser(express.urlencoded({ type: always, extended: true }))],
    'express urlencoded by its type': ['form', always, bodyParser(express.urlencoded({ extended: true }))],
    'express query': ['query', always, (r) => document(qs.parse(r.query, { allowPrototypes: true }))],
    'co-body json not strict': ['json', always, async (r) => document(await coBody.json(incoming(r), { strict: false }))],
    'co-body form': ['form', isForm, async (r) => exactly(await coBody.form(incoming(r)))],
    'co-body by type': ['form', (r) => !isJSON(r), async (r) => exactly(await coBody(incoming(r)))],
    'qs with dots': ['form', isForm, (r) => exactly(qs.parse(r.body.toString('utf8'), { allowDots: true, parameterLimit: Infinity }))],
    'qs of semicolons': ['form', isForm, (r) => document(qs.parse(r.body.toString('utf8'), { delimiter: /[;&]/, parameterLimit: Infinity }))],
    'qs of the query with dots': ['query', always, (r) => exactly(qs.parse(r.query, { allowDots: true }))],
    busboy: ['form', always, streamed],
    multer: ['form', always, (r) => middleware(upload, r, (request) => [...document(request.body), ...pairs(files(request.files))])],
    formidable: ['form', (r) => !isJSON(r), formidableFields],
    'formidable json': ['json', isJSON, formidableFields],
    multiparty: ['form', isMultipart, parts],
    cookie: ['cookie', always, (r) => document(cookie.parse(r.headers.cookie || ''))],
  });
}

async function answer(r) {
  const found = {};
  for (const [name, [place, asked, parse]] of Object.entries(parsers)) {
    if (!asked(r)) continue;
    let timer;
    const late = new Promise((_, reject) => { timer = setTimeout(reject, 2000, new Error('it does not end')); });
    try {
      found['node ' + name] = { place, fields: await Promise.race([parse(r), late]) };
    } catch (fault) {
      found['node ' + name] = { place, fields: null, fault: String(fault).slice(0, 200) };
    }
    clearTimeout(timer);
  }
  return found;
}

if (process.argv.includes('all')) addPackages();
// From parsers that have been abandoned.
process.on('uncaughtException', () => {}).on('unhandledRejection', () => {});
const server = http.createServer({ maxHeaderSize: 1 << 20 }, (request, response) => {
  const chunks = [];
  request.on('data', (chunk) => chunks.push(chunk)).on('end', async () => {
    const { method, url: target, headers, rawHeaders } = request;
    const query = target.includes('?') ? target.slice(target.indexOf('?') + 1) : '';
    const found = await answer({ method, target, query, headers, rawHeaders, type: headers['content-type'] || '', body: Buffer.concat(chunks) });
    response.end(JSON.stringify(found));
  });
});
server.listen(0, '127.0.0.1', () => console.log('node', server.address().port));
