#!/usr/bin/env node
// The website and the chat's backend in one process, which also starts the gateway.
const { randomBytes } = require('node:crypto')
const { spawn } = require('node:child_process')
const { mkdtempSync, readFileSync, rmSync } = require('node:fs')
const http = require('node:http')
const { tmpdir } = require('node:os')
const { join } = require('node:path')

process.env.CHAT_IDENTITY_SECRET ||= randomBytes(32).toString('hex')
const { hashClaim } = require('../signing/sign.js')
const dialect = require('../signing/dialects.json').snapengage

const signedIn = new Map() // users by the token in their cookie
const streams = new Set() // open event streams, with their users
const files = { '/': 'text/html', '/page.js': 'text/javascript', '/chat-identity.js': 'text/javascript' }

const routes = {
  // The website's sign-in: a click in place of a password. A token is never used again.
  'POST /sign-in/ada': (req, res) => signIn(res, 'usr_ada'),
  'POST /sign-in/grace': (req, res) => signIn(res, 1906),
  'POST /sign-out': (req, res) => {
    signedIn.delete(token(req))
    res.writeHead(204).end()
  },
  // The claim of whoever is signed in, from the session and never from the request.
  'GET /me/chat': (req, res) => {
    const user = signedIn.get(token(req))
    if (!user) return res.writeHead(401).end()
    res.writeHead(200, { 'Content-Type': 'application/json' }).end(JSON.stringify(hashClaim(dialect, { user_id: user })))
  },
  // The chat knows its users by the gateway's header alone.
  'POST /chat/messages': async (req, res) => {
    const user = req.headers['x-verified-user'], text = await textOf(req).catch(() => null)
    if (typeof text !== 'string') return res.writeHead(400).end()
    for (const stream of streams) if (stream.user === user) stream.write(`data: ${user}: ${text.replace(/\s+/g, ' ')}\n\n`)
    res.writeHead(204).end()
  },
  'GET /chat/events': (req, res) => {
    res.writeHead(200, { 'Content-Type': 'text/event-stream', 'Cache-Control': 'no-store' })
    res.write(': open\n\n')
    res.user = req.headers['x-verified-user']
    streams.add(res)
    res.on('close', () => streams.delete(res))
  },
}

function signIn(res, user) {
  const value = randomBytes(16).toString('hex')
  signedIn.set(value, user)
  res.writeHead(204, { 'Set-Cookie': `page_sample=${value}; Path=/; HttpOnly; SameSite=Lax` }).end()
}

// textOf returns the text of a message, sent as JSON or as a form.
async function textOf(req) {
  const type = req.headers['content-type'] ?? ''
  const message = new Response(req, { headers: { 'Content-Type': type }, duplex: 'half' })
  return /^application\/json\b/i.test(type) ? (await message.json()).text : (await message.formData()).get('text')
}

const token = (req) => /(?:^|; )page_sample=(\w+)/.exec(req.headers.cookie)?.[1]

const server = http.createServer((req, res) => {
  const path = req.url.split('?')[0], route = routes[`${req.method} ${path}`]
  if (route) return route(req, res)
  if (!files[path]) return res.writeHead(404).end()
  res.writeHead(200, { 'Content-Type': files[path], 'Content-Security-Policy': "default-src 'self'; img-src data:" })
  res.end(readFileSync(join(__dirname, path === '/' ? 'index.html' : path)))
})

server.listen(0, '127.0.0.1', () => {
  const at = process.argv.indexOf('-gateway'), port = process.env.PORT || '8080'
  const folder = mkdtempSync(join(tmpdir(), 'chat-identity-page-'))
  const gateway = spawn(at < 0 ? './caddy' : process.argv[at + 1], ['run', '--config', join(__dirname, 'Caddyfile')], {
    stdio: 'inherit',
    env: { ...process.env, PORT: port, BACKEND: `127.0.0.1:${server.address().port}`, FOLDER: folder, XDG_DATA_HOME: folder, XDG_CONFIG_HOME: folder },
  })
  gateway.on('error', (error) => console.error(`The gateway does not start: ${error.message}. Build it with make build.`))
  gateway.on('close', (code) => {
    rmSync(folder, { recursive: true, force: true })
    process.exit(process.exitCode ?? code ?? 1)
  })
  process.on('uncaughtException', (error) => { // a gateway left behind would keep the port
    console.error(error)
    process.exitCode = 1
    gateway.kill('SIGTERM')
  })
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => gateway.kill('SIGTERM'))
  console.log(`Open http://localhost:${port} `)
})
