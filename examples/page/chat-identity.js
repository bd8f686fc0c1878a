// Proves to the gateway who is chatting. See README.md.
const queued = window.chatIdentity?.q ?? []
const tabs = new BroadcastChannel('chat-identity')
let options = { claim() {} }, era = 0, user, session, ends, asking

const fail = (text) => { throw Error('chat-identity: ' + text) }

// Gets a claim from your server or, with init, a session.
async function call(url, init) {
  let said = 'no answer'
  try {
    const answer = await fetch(url, { cache: 'no-store', ...init, signal: AbortSignal.timeout(8e3) })
    said = answer.status
    if (!init && [204, 401, 403].includes(said)) return
    if (answer.ok) return await answer.json()
  } catch {}
  fail(`${url} gave no ${init ? 'session' : 'claim'}: ${said}`)
}

// Trades a claim, never kept, for a session, or returns it.
async function trade() {
  const asked = options, url = options.session
  const claim = await (options.claim?.at ? call(options.claim) : options.claim())
  const who = claim && url && await call(...carry({ claim }, url, { method: 'POST', body: {} }))
  if (options !== asked) return trade()
  if (who && !who.verified) console.warn(`chat-identity: ${url} did not verify the claim`)
  know(who?.user?.id ?? null)
  session = who?.session?.token
  ends = Date.now() + who?.session?.expires_in * 1e3
  return session ? null : claim
}

const renew = () => asking ??= trade().finally(() => { asking = null })

// Tells of another user. What waits was the last one's.
function know(id) {
  if (id === user) return
  if (user) era++
  user = id
  dispatchEvent(new CustomEvent('chat-identity', { detail: id }))
  tabs.postMessage(id)
}

// A stream gets a new session: the last may have ended it.
async function prove(mine, stream) {
  let claim
  if (stream || !(ends > Date.now() + 2e4)) {
    claim = await (options.session ? renew : trade)().catch((e) => { if (!(ends > Date.now())) throw e })
  }
  if (mine !== era) fail('the user has changed')
  return { claim, session }
}

const text = (value) => Object(value) === value && !value[Symbol.toStringTag] ? JSON.stringify(value) : value

// Puts the proof into a request or, without init, a URL.
function carry({ claim, session }, url, init) {
  if (url.url) fail('a Request is no URL')
  const to = new URL(url, location), headers = new Headers(init?.headers)
  const at = options.place?.(claim ?? {}) ?? { body: claim }
  const put = (fields, into) => {
    for (const name in fields) if (fields[name] != null) into.set(name, text(fields[name]))
  }
  let body = text(init?.body), json, into = to.searchParams
  put(at.query, into)
  put(at.headers, headers)
  if (session) init ? headers.set('X-Chat-Session', session) : into.set('chat_session', session)
  try { json = JSON.parse(body) } catch {}
  if (json?.constructor === Object) {
    if (!headers.has('Content-Type')) headers.set('Content-Type', 'application/json')
    if (at.body) body = text({ ...json, ...at.body })
  } else {
    if (body?.append) {
      into = new body.constructor()
      for (const field of body) into.append(...field)
      body = into
    }
    put(at.body, into)
  }
  return [to, { ...init, headers, body }]
}

tabs.onmessage = ({ data }) => data === user || chatIdentity('identify', options)

window.chatIdentity = (command, given) => {
  const out = command === 'reset'
  if (!out && command !== 'identify') fail('no command ' + command)
  options = out ? { ...options, claim() {} } : { ...given }
  if (out || !options.session) era++
  asking = ends = null
  out ? know(null) : renew().catch(console.warn)
}

// What is refused is sent again, once.
chatIdentity.fetch = async (url, init = {}, mine = era) => {
  for (let last; ; last = 1) {
    const proof = await prove(mine), answer = await fetch(...carry(proof, url, init))
    if (last || !proof.session || ![401, 403].includes(answer.status)) return answer
    ends = 0
  }
}
chatIdentity.url = async (url, mine = era) => carry(await prove(mine, 1), url)[0].href
for (const command of queued) chatIdentity(...command)
