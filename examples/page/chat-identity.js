// Proves to the gateway who is chatting. See README.md.
const queued = window.chatIdentity?.q
const tabs = new BroadcastChannel('chat-identity')
let options = { claim() {} }, writer = {}, open = 1, user, session, ends, asking

const fail = (text) => { throw Error('chat-identity: ' + text) }

async function call(url, init) {
  const answer = await fetch(url, { cache: 'no-store', ...init, signal: AbortSignal.timeout(8e3) }).catch(() => ({ status: 'no answer' }))
  if (!init && /204|40[13]/.test(answer.status)) return
  try {
    if (answer.ok) return await answer.json()
  } catch {}
  fail(`${url} gave no ${init ? 'session' : 'claim'}: ${answer.status}`)
}

// Trades a claim for a session, or returns it.
async function trade() {
  const asked = options, url = options.session
  const claim = await (options.claim?.at ? call(options.claim) : options.claim())
  const who = claim && url && await call(...carry({ claim }, url, { method: 'POST', body: {} }))
  if (options !== asked) return trade()
  if (who && !who.verified) console.warn(`chat-identity: ${url} did not verify the claim`)
  know(who?.user?.id ?? null)
  session = who?.session?.token
  ends = Date.now() + who?.session?.expires_in * 1e3
  return !session && claim
}

const renew = () => asking ??= trade().finally(() => (asking = null))

// Tells of another user. What waited before identify fails.
function know(id) {
  if (!open && user !== id) writer = {}
  writer.id = id
  open = 0
  if (id === user) return
  user = id
  dispatchEvent(new CustomEvent('chat-identity', { detail: id }))
  tabs.postMessage(id)
}

// A stream gets a session of its own.
async function prove(mine, stream) {
  const claim = (stream || !(ends > Date.now() + 2e4)) &&
    await (options.session ? renew : trade)().catch((e) => { if (!(ends > Date.now())) throw e })
  if (mine.id !== null && mine.id !== user) fail('the user has changed')
  return { claim, session }
}

const text = (value) => Object(value) === value && !value[Symbol.toStringTag] ? JSON.stringify(value) : value

// Puts the proof into a request or a URL.
function carry({ claim, session }, url, init) {
  if (url.url) fail('a Request is no URL')
  const to = new URL(url, location), headers = new Headers(init?.headers)
  const at = options.place?.(claim || {}) ?? { body: claim }
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

function ask(given) {
  options = { ...given }
  asking = ends = null
  renew().catch(console.warn)
}

tabs.onmessage = ({ data }) => data === user || ask(options)

window.chatIdentity = (command, given) => {
  if (command === 'reset') given = { ...options, claim() {}, session: '' }
  else if (command !== 'identify') fail('no command ' + command)
  if (!given?.session) writer.id = NaN
  if (writer.id !== undefined) writer = { id: user }
  open = 1
  ask(given)
}

// Once more, if refused.
chatIdentity.fetch = async (url, init = {}, mine = writer, last) => {
  const proof = await prove(mine), answer = await fetch(...carry(proof, url, init))
  if (last || !proof.session || !/40[13]/.test(answer.status)) return answer
  ends = 0
  return chatIdentity.fetch(url, init, mine, 1)
}
chatIdentity.url = async (url) => carry(await prove(writer, 1), url)[0].href
queued?.map((command) => chatIdentity(...command))
