// Can this widget be switched to required? What that mode would have refused, and
// why. The command "caddy chat-identity readiness" shows the same.
import { make } from './dom.js'
import { number, requests, sentence, time } from './format.js'
import { require } from './policy.js'
import { meaning, title } from './reasons.js'

export function readiness(found, stored) {
  const state = states[found.verdict] ?? 'warn'
  return [
    make('div', { class: `verdict ${state}` }, found.verdict_text),
    found.refusals.map(refusal),
    found.disabled > 0 && make('p', { class: 'hint' }, `${requests(found.disabled)} came while the mode was off and were not verified.`),
    stored && found.mode !== 'required' && make('div', { class: 'actions left' }, make('button', {
      type: 'button', class: state === 'good' ? 'primary' : '', 'data-key': 'require', on: { click: () => require(found.widget, found) },
    }, state === 'good' ? 'Switch to required' : 'Switch to required anyway')),
  ]
}

const states = { required: 'plain', unknown: 'plain', too_early: 'plain', only_unsigned: 'plain', ready: 'good' }

function refusal({ reason, count, always, hints, examples }) {
  return make('details', { class: 'refusal', 'data-key': reason, open: reason !== 'missing' },
    make('summary', { 'data-key': `summary ${reason}` }, make('b', {}, title(reason)), make('span', { class: 'count' }, number(count)),
      always && make('span', { class: 'tag' }, 'refused in optional mode, too')),
    make('p', {}, meaning(reason)),
    hints?.length > 0 && make('div', { class: 'hints' }, make('h4', {}, reason === 'invalid' ? 'Likely mistake' : 'In particular'),
      make('ul', {}, hints.map((hint) => make('li', {}, sentence(hint.text), ' ', make('span', { class: 'count' }, `${number(hint.count)}×`))))),
    examples?.length > 0 && make('div', {}, make('h4', {}, 'Latest, by request id as in the log'),
      make('ul', { class: 'examples' }, examples.map((example) => make('li', {},
        make('time', { datetime: example.at }, time(example.at)), make('code', {}, example.request_id))))))
}
