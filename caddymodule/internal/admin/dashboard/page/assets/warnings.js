// Which gateway this is, what is wrong with it, and what to do about that.
import { make, write } from './dom.js'
import { sentence } from './format.js'

export function warnings(found) {
  const { status, problems = [] } = found.health
  write(document.getElementById('gateway'), found.gateway.name)
  return [
    ...problems.map((problem) => make('p', { class: `notice ${status === 'down' ? 'bad' : 'warn'}`, role: 'alert' }, sentence(problem))),
    found.allow_reveal && make('div', { class: 'notice' }, make('strong', {}, 'Secrets can be shown again.'), ' ', make('code', {}, 'allow_reveal'),
      ' is configured: whoever can reach this endpoint can read every stored secret.'),
  ]
}
