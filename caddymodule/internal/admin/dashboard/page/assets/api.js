import { sentence } from './format.js'

// The admin API, by URLs relative to the page: the page works wherever it is
// mounted, behind a tunnel or below a path.

const timeout = 15_000 // milliseconds

// Refusal is the gateway’s error, or says that it did not answer.
export class Refusal extends Error {
  constructor(message, status) {
    super(message)
    this.status = status // 0 if there was no answer
  }
}

// ask calls the API. A body is sent as JSON; the answer is decoded, null if there
// is none.
export async function ask(method, path, body) {
  const options = { method, mode: 'same-origin', credentials: 'same-origin', redirect: 'error', signal: AbortSignal.timeout(timeout) }
  if (body !== undefined) {
    options.body = JSON.stringify(body)
    options.headers = { 'Content-Type': 'application/json' }
  }
  let answer, text
  try {
    answer = await fetch(new URL(path, document.baseURI), options)
    text = await answer.text()
  } catch {
    throw new Refusal('The gateway does not answer. Is Caddy running, and is your tunnel to it open?', 0)
  }
  let said = null
  try {
    said = text === '' ? null : JSON.parse(text)
  } catch {
    throw new Refusal(`The gateway answered with status ${answer.status} and no JSON. Is this Caddy’s admin endpoint?`, answer.status)
  }
  if (!answer.ok) throw new Refusal(sentence(said?.error ?? `The gateway answered with status ${answer.status}`), answer.status)
  return said
}

export const overview = (query) => ask('GET', `overview?${new URLSearchParams(query)}`)
export const history = () => ask('GET', 'history')
export const readiness = (id) => ask('GET', `widgets/${encodeURIComponent(id)}/readiness`)
export const snippets = (query) => ask('GET', `snippets?${new URLSearchParams(query)}`)
export const create = (widget) => ask('POST', 'widgets', widget)
export const set = (id, policy) => ask('PATCH', `widgets/${encodeURIComponent(id)}`, policy)
export const rotate = (id, grace) => ask('POST', `widgets/${encodeURIComponent(id)}/rotate`, grace ? { grace } : {})
export const endGrace = (id) => ask('POST', `widgets/${encodeURIComponent(id)}/rotate`, { end_grace: true })
export const reveal = (id) => ask('POST', `widgets/${encodeURIComponent(id)}/reveal`)
export const remove = (id) => ask('DELETE', `widgets/${encodeURIComponent(id)}`)
