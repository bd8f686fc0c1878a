// Windows of traffic: how many of the requests were verified, and why not the rest.
import { make } from './dom.js'
import { number, percent, requests } from './format.js'
import { kind, meaning, sorted, title } from './reasons.js'

export const windows = [['minute', 'Last minute'], ['hour', 'Last hour'], ['day', 'Last day']]

// bar is a window as one line. It is hidden from screen readers: the words are beside it.
export function bar(window) {
  const line = make('div', { class: 'bar', 'aria-hidden': 'true' })
  const piece = (count, name) => {
    if (!count) return
    const part = make('span', { class: `piece ${name}` })
    part.style.setProperty('flex-grow', count / window.requests)
    line.append(part)
  }
  piece(window.verified, 'verified')
  for (const [reason, count] of sorted(window.reasons)) piece(count, kind(reason))
  return line
}

// card is a window in full.
export function card(window, label, key) {
  const rest = sorted(window.reasons)
  return make('section', { class: 'card window' },
    make('h2', {}, label),
    make('p', { class: 'rate' }, make('strong', {}, percent(window.verified, window.requests)), window.requests > 0 && ' verified'),
    make('p', { class: 'of' }, window.requests > 0 ? `of ${requests(window.requests)}` : 'No requests'),
    shares(window),
    window.requests > 0 && bar(window),
    rest.length > 0 && make('ul', { class: 'legend' }, rest.slice(0, 3).map(([reason, count]) => entry(reason, count))),
    rest.length > 3 && make('details', { 'data-key': `rest ${key}` },
      make('summary', { 'data-key': `summary ${key}` }, `${rest.length - 3} more`),
      make('ul', { class: 'legend' }, rest.slice(3).map(([reason, count]) => entry(reason, count)))))
}

// shares are how far a widget has come from signatures to tokens, where there are both, and how
// many of the verified have a session.
const shares = ({ proofs, verified }) => [
  proofs?.token > 0 && proofs.signature > 0 && make('p', { class: 'of tokens' }, `${percent(proofs.token, verified)} of the verified by token`),
  proofs?.session > 0 && make('p', { class: 'of sessions' }, `${percent(proofs.session, verified)} of the verified by session`),
]

function entry(reason, count) {
  return make('li', { title: meaning(reason) },
    make('span', { class: `dot ${kind(reason)}`, 'aria-hidden': 'true' }), `${title(reason)} `,
    make('span', { class: 'count' }, number(count)))
}

export const cards = (holder, prefix = '') => windows.map(([name, label]) => card(holder[name], label, prefix + name))

// main says in a few words why a window's rest is not verified.
export function main(window) {
  const [first, second] = sorted(window.reasons)
  if (!first) return ''
  const say = ([reason, count]) => `${title(reason)} ${percent(count, window.requests)}`
  return second ? `${say(first)}, ${say(second)}` : say(first)
}
