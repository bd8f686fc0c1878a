// Which gateway this is, what is wrong with it, and what to do about that.
import { make, write } from './dom.js'
import { sentence } from './format.js'

export function warnings(found) {
  write(document.getElementById('gateway'), found.gateway?.name ?? '')
  const problems = found.health?.problems ?? []
  const all = problems.map((problem) => make('p', { class: `notice ${found.health.status === 'down' ? 'bad' : 'warn'}`, role: 'alert' }, sentence(problem)))
  if (found.allow_reveal) {
    all.push(make('div', { class: 'notice' }, make('strong', {}, 'Secrets can be shown again.'), ' ', code('allow_reveal'),
      ' is configured: whoever can reach this endpoint can read every stored secret.'))
  }
  return found.health ? all : all.concat(without(found))
}

function without(found) {
  const all = []
  const warn = (title, ...text) => all.push(make('div', { class: 'notice bad', role: 'alert' }, make('strong', {}, title), ' ', ...text))
  if (!found.store.reachable) {
    warn('The store of widgets cannot be reached.', `${found.store.error ?? ''} `,
      'Known widgets are served for as long as ', code('stale_if_error'), ' allows, and nothing can be changed. Once the store is back, no restart is needed.')
  }
  if (found.ledger.used && !found.ledger.reachable) {
    warn('The ledger cannot be reached.', `${found.ledger.error ?? ''} `,
      'One-time signatures, conversations and merging are unavailable. Once the ledger is back, no restart is needed.')
  }
  if (found.ledger.lost) {
    warn('The ledger was lost.', found.ledger.lost)
  }
  for (const key of found.missing_encryption_keys ?? []) {
    warn('An encryption key is missing.', 'Secrets that are encrypted with ', code(key),
      ' cannot be decrypted, and their widgets are unavailable. Add that key to ', code('encryption_key'), ' in the global chat_identity block, and reload.')
  }
  return all
}

const code = (text) => make('code', {}, text)
