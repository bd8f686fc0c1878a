// One widget.
import { overview, readiness } from './api.js'
import { announce, make, refill } from './dom.js'
import { since, time, until } from './format.js'
import { policy } from './policy.js'
import { readiness as readinessView } from './readiness.js'
import { remove } from './remove.js'
import { reveal, rotate } from './rotate.js'
import { signing } from './signing.js'
import { cards } from './traffic.js'

const readOnly = {
  inline: 'This widget is defined in the configuration’s global chat_identity block. Change it there, then reload.',
  handler: 'This widget’s secret is in a site’s own chat_identity block. Change it there, then reload.',
}

export function widget(id) {
  const tags = make('span', { class: 'tags' })
  const notices = make('div', { class: 'notices' })
  const totals = make('div', { class: 'windows' })
  const ready = make('div', { class: 'ready' }, 'Loading…')
  const secrets = make('div')
  const rules = policy(id)
  const code = signing(id)
  const section = (title, ...content) => make('section', { class: 'card' }, make('h2', {}, title), ...content)
  const policySection = section('Policy', rules.element)
  const secretSection = section('Secrets', secrets)
  const danger = section('Delete', make('p', { class: 'hint' }, 'Its secrets are deleted with it, at once and permanently.'),
    make('div', { class: 'actions left' }, make('button', { type: 'button', class: 'danger', on: { click: () => remove(id) } }, 'Delete this widget…')))
  const content = make('div', { class: 'widget', hidden: true },
    totals,
    make('div', { class: 'columns' },
      make('div', {}, section('Ready for required mode?', ready), section('Sign on your server', code.element)),
      make('div', {}, policySection, secretSection, danger)))
  const element = make('div', {},
    make('nav', { class: 'path', 'aria-label': 'Path' }, make('a', { href: '#/' }, 'All widgets')),
    make('div', { class: 'title' }, make('h1', { tabindex: '-1' }, id), tags),
    notices, content)

  async function update(isCurrent) {
    const [found, judged] = await Promise.all([overview({ view: 'all', prefix: id, limit: 1 }), readiness(id)])
    if (!isCurrent()) return
    const row = found.widgets.find((one) => one.id === id)
    if (!row) throw new Error(`There is no widget ${id}.`)
    const stored = row.source === 'stored'
    content.hidden = false
    refill(tags, ...describe(row))
    refill(notices, !stored && make('p', { class: 'notice' }, readOnly[row.source] ?? readOnly.inline),
      row.unavailable && make('p', { class: 'notice bad', role: 'alert' }, row.unavailable))
    refill(totals, cards(row, `${id} `))
    refill(ready, readinessView(judged, stored))
    policySection.hidden = !stored
    danger.hidden = !stored
    secretSection.hidden = !stored
    if (stored) {
      rules.show(row, judged)
      refill(secrets, ...secretsOf(row, found))
    }
    await code.show(row)
  }

  function failed(error) {
    refill(notices, make('p', { class: 'notice bad', role: 'alert' }, error.message))
  }

  return { element, update, failed }
}

function describe(row) {
  return [
    make('span', { class: 'mode', 'data-mode': row.mode || 'handler' }, row.mode || 'mode of the site block'),
    make('span', { class: 'tag' }, row.dialect || 'dialect of the site block'),
    row.source !== 'stored' && make('span', { class: 'tag' }, 'read-only'),
  ]
}

function secretsOf(row, found) {
  const now = found.now
  const lines = (row.secrets ?? []).map((secret, i) => make('li', {},
    make('b', {}, i === 0 ? 'Current' : 'Previous'), ' ',
    make('span', { class: 'soft', title: i === 0 ? time(row.rotated) : time(secret.until) },
      i === 0 ? `created ${since(row.rotated, now)} ago` : `verifies for another ${until(secret.until, now)}`),
    make('span', { class: 'soft small' }, 'version ', make('code', {}, secret.version.slice(0, 8)), ', encrypted with key ', make('code', {}, secret.key))))
  const show = async (event) => {
    try {
      await reveal(row.id)
    } catch (error) {
      announce(error.message)
      event.target.textContent = error.message
    }
  }
  return [
    make('ul', { class: 'secrets' }, lines),
    make('div', { class: 'actions left' },
      make('button', { type: 'button', 'data-key': 'rotate', disabled: !found.writable, on: { click: () => rotate(row.id) } }, 'Rotate…'),
      found.allow_reveal && make('button', { type: 'button', 'data-key': 'reveal', on: { click: show } }, 'Show the secret')),
  ]
}
