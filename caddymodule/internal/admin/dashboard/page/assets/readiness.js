// Can this widget be switched to required? What that mode would have refused, and
// why. The command "caddy chat-identity readiness" shows the same.
import { make } from './dom.js'
import { number, percent, requests, sentence, span, time } from './format.js'
import { require } from './policy.js'
import { meaning, title } from './reasons.js'

export function readiness(found, stored) {
  const [state, head, text] = verdict(found)
  return [
    make('div', { class: `verdict ${state}` }, make('strong', {}, head), ' ', text),
    found.refusals.map(refusal),
    found.disabled > 0 && make('p', { class: 'hint' }, `${requests(found.disabled)} came while the mode was off and were not verified.`),
    stored && found.mode !== 'required' && make('div', { class: 'actions left' }, make('button', {
      type: 'button', class: state === 'good' ? 'primary' : '', 'data-key': 'require', on: { click: () => require(found.widget, found) },
    }, state === 'good' ? 'Switch to required' : 'Switch to required anyway')),
  ]
}

// verdict puts the API's verdict into words.
function verdict(found) {
  const watched = span(new Date(found.now) - new Date(found.from))
  const judged = found.requests - found.disabled
  const refused = `${number(found.refused)} of ${requests(judged)} (${percent(found.refused, judged)})`
  const none = `There were no requests in the last ${watched}.`
  switch (found.verdict) {
    case 'required':
      if (found.requests === 0) return ['plain', 'Required.', none]
      if (judged === 0) return ['plain', 'Required.', `In the last ${watched} the mode was off, so nothing was verified.`]
      return found.refused === 0 ? ['good', 'Required.', `In the last ${watched} none of ${requests(judged)} was refused.`]
        : ['plain', 'Required.', `In the last ${watched} ${refused} would not pass:`]
    case 'unknown':
      return ['plain', 'Too early to say.', found.requests === 0 ? none : 'The mode was off, so nothing was verified. Switch to optional first.']
    case 'ready':
      return ['good', 'Ready.', `In the last ${watched}, of ${requests(judged)}, none would have been refused.`]
    case 'only_unsigned':
      return ['plain', 'Ready, if users must sign in to chat.', `In the last ${watched}, required mode would have refused ${refused}, all without a claim:`]
    default:
      return ['warn', 'Not yet.', `In the last ${watched}, required mode would have refused ${refused}:`]
  }
}

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
