// Proves to the gateway who is chatting. README.md says how to use it.
const queued = window.chatIdentity?.q ?? []
const tabs = new BroadcastChannel('chat-identity')
let me = { options: {}, user: null }

async function call(url, init) {
  const answer = await fetch(url, init)
  if (answer.status > 403) throw new Error(`chat-identity: ${url} answered ${answer.status}`)
  return answer
}

// Asks your server who is signed in. A claim is sent at once and never kept.
async function ask({ claim }) {
  if (typeof claim !== 'string') return claim?.()
  const answer = await call(claim, { cache: 'no-store' })
  return answer.status === 200 ? answer.json() : null // nobody
}

// Trades a claim for a session, or else returns the claim.
async function trade(mine) {
  const { options } = mine, claim = await ask(options)
  const traded = claim && options.session && await call(...carry(mine, { claim }, options.session, { method: 'POST', body: {} }))
  const who = traded ? await traded.json() : {}
  if (mine === me) {
    const user = who.user?.id ?? null, before = mine.user
    if (before && user !== before) me = { options }
    Object.assign(me, { user, session: who.session?.token, ends: Date.now() + who.session?.expires_in * 1000 })
    if (user !== before) {
      dispatchEvent(new CustomEvent('chat-identity', { detail: user }))
      tabs.postMessage(user)
    }
  }
  if (mine !== me) throw new Error('chat-identity: the user has changed')
  return me.session ? null : claim
}

const renew = (mine) => mine.asking ??= trade(mine).finally(() => { mine.asking = null })

// What proves a request. A stream gets a new session: if it is opened again, the last
// one may have been the reason.
async function prove(mine, stream) {
  const left = mine.ends - Date.now()
  const claim = !stream && left > 2e4 ? null
    : await renew(mine).catch((error) => { if (mine !== me || !(left > 0)) throw error })
  return { claim, session: mine.session }
}

const text = (value) => typeof value === 'object' ? JSON.stringify(value) : value

// Puts the proof into a request or, without init, into a stream's URL.
function carry({ options }, { claim, session }, url, init) {
  const to = new URL(url, location), headers = new Headers(init?.headers)
  let body = init?.body, into = to.searchParams
  if (body?.append) { // a form
    into = new body.constructor()
    for (const field of body) into.append(...field)
    body = into
  }
  const put = (fields, into) => {
    for (const name in fields) if (fields[name] != null) into.set(name, text(fields[name]))
  }
  const at = options.place?.(claim ?? {}) ?? { body: claim }
  put(at.query, to.searchParams)
  put(at.headers, headers)
  if (session) init ? headers.set('X-Chat-Session', session) : into.set('chat_session', session)
  if (typeof body === 'string' || body?.constructor === Object) {
    headers.set('Content-Type', 'application/json')
    body = text({ ...JSON.parse(text(body)), ...at.body })
  } else put(at.body, into)
  return [to, { ...init, headers, body }]
}

// Sends a request, and again with a new session if the first is refused.
async function send(url, init, mine, again) {
  const proof = await prove(mine)
  const answer = await fetch(...carry(mine, proof, url, init))
  if (again || !proof.session || ![401, 403].includes(answer.status)) return answer
  if (mine.session === proof.session) mine.ends = 0
  return send(url, init, mine, true)
}

const begin = () => renew(me).catch(() => {}) // the next request says it

// Somebody has signed in or out in another tab.
tabs.onmessage = async ({ data }) => {
  await me.asking?.catch(() => {})
  if (data !== me.user) begin(me.ends = 0)
}

window.chatIdentity = (command, options) => {
  me = { options: { identify: options, reset: {} }[command] }
  begin()
}
chatIdentity.fetch = (url, init = {}) => send(url, init, me)
chatIdentity.url = async (url, mine = me) => carry(mine, await prove(mine, true), url)[0].href
for (const command of queued) chatIdentity(...command)
