// One widget.
import { overview, readiness } from './api.js'
import { create } from './create.js'
import { announce, make, refill } from './dom.js'
import { count, requests, since, time, until } from './format.js'
import { replaceKeys } from './keys.js'
import { toWidget, validID } from './place.js'
import { policy, require } from './policy.js'
import { readiness as readinessView } from './readiness.js'
import { remove, removed } from './remove.js'
import { endGrace, reveal, rotate } from './rotate.js'
import { signing } from './signing.js'
import { cards } from './traffic.js'
import { warnings } from './warnings.js'

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

  const latest = {} // what is shown, for what is clicked

  async function update(isCurrent) {
    if (!validID.test(id)) {
      refill(notices, notHere(id))
      return
    }
    const found = await overview({ widget: id })
    const row = found.widgets[0]
    // Without its store, a widget may exist all the same.
    const judged = row || !found.store.reachable ? await readiness(id).catch(unlessMissing) : null
    if (!isCurrent()) return
    const stored = row?.source === 'stored'
    content.hidden = !row || !judged
    refill(tags, row ? describe(row) : null)
    refill(notices, warnings(found), row && !stored && make('p', { class: 'notice' }, readOnly[row.source] ?? readOnly.inline),
      row?.unavailable && make('p', { class: 'notice bad', role: 'alert' }, row.unavailable),
      !row && found.store.reachable && notHere(id, found, latest.found?.now))
    if (content.hidden) return
    Object.assign(latest, { row, found, judged })
    refill(totals, cards(row, `${id} `))
    refill(ready, readinessView(judged, stored, () => require(id, latest.judged)))
    policySection.hidden = !stored
    danger.hidden = !stored
    secretSection.hidden = !stored
    if (stored) {
      rules.show(row, judged)
      const withKeys = row.jwks || row.public_keys
      secretSection.querySelector('h2').textContent = withKeys ? 'Keys' : 'Secrets'
      refill(secrets, ...(withKeys ? keysOf(latest) : secretsOf(latest)))
    }
    await code.show(row)
  }

  return { element, update }
}

function unlessMissing(error) {
  if (error.status !== 404) throw error
  return null
}

// notHere says why there is no widget, and what to do.
function notHere(id, found, seen) {
  const card = (heading, ...content) => make('section', { class: 'card missing' }, make('h2', {}, heading), content)
  if (!found) {
    return card('No widget can have this id', make('p', {}, 'An id is 1 to 128 letters, digits and . _ -, beginning with a letter or digit. Is the link cut off?'))
  }
  const stray = found.unknown_widgets?.find((one) => one.id === id)
  const near = stray?.nearest?.length ? stray.nearest : found.nearest ?? []
  const again = (label) => make('div', { class: 'actions left' }, make('button', {
    type: 'button', class: 'primary', 'data-key': 'create', disabled: !found.writable, on: { click: () => create(id) },
  }, label))
  if (removed.has(id) || seen) {
    return card(removed.has(id) ? `Deleted at ${time(removed.get(id))}` : `Deleted since ${time(seen)}, not on this page`,
      make('p', {}, 'Its secrets are gone, and no later request is verified by them. Requests that name it name an unknown widget: in required mode they are refused.'),
      again('Create it again…'))
  }
  return card('There is no such widget',
    stray && make('p', {}, `${requests(stray.requests)} named it, the last at ${time(stray.last)}.`),
    near.length > 0 && make('p', {}, 'Is it one of these? ', near.flatMap((other, i) => [i > 0 && ', ', make('a', { href: toWidget(other), 'data-key': other }, other)])),
    again('Create it…'))
}

function describe(row) {
  const mode = row.effective_mode || row.mode
  return [
    make('span', { class: 'mode', 'data-mode': mode ?? '', title: row.mode_why }, mode || 'mode of the site block'),
    make('span', { class: 'tag' }, row.dialect || 'dialect of the site block'),
    row.source !== 'stored' && make('span', { class: 'tag' }, 'read-only'),
  ]
}

function secretsOf(latest) {
  const { row, found } = latest
  const now = found.now
  const all = row.secrets ?? []
  const lines = all.map((secret, i) => make('li', {},
    make('b', {}, i === 0 ? 'Current' : 'Previous'), ' ',
    make('span', { class: 'soft', title: time(i === 0 ? row.rotated : secret.until) },
      i === 0 ? `created ${since(row.rotated, now)} ago` : `verifies for another ${until(secret.until, now)}, until ${time(secret.until)}`),
    make('span', { class: 'soft use' }, use(secret, now, row.uses_since ?? found.since)),
    make('span', { class: 'soft small' }, 'version ', make('code', {}, secret.version.slice(0, 8)), ', encrypted with key ', make('code', {}, secret.key))))
  const show = async (event) => {
    try {
      await reveal(row.id)
    } catch (error) {
      announce(error.message)
      event.target.textContent = error.message
    }
  }
  const button = (key, label, click) => make('button', { type: 'button', 'data-key': key, disabled: !found.writable, on: { click } }, label)
  return [
    make('ul', { class: 'secrets' }, lines),
    make('div', { class: 'actions left' },
      button('rotate', 'Rotate…', () => rotate(row.id)),
      all.length > 1 && button('end', 'End the grace…', () => endGrace(row.id, latest.row.secrets.slice(1).map((secret) => use(secret, latest.found.now, latest.row.uses_since)))),
      found.allow_reveal && make('button', { type: 'button', 'data-key': 'reveal', on: { click: show } }, 'Show the secret')),
  ]
}

// keysOf shows what verifies the tokens of a widget without a secret.
function keysOf({ row, found }) {
  const lines = (row.public_keys ?? []).map((key) => make('li', {},
    make('b', {}, key.kind),
    make('span', { class: 'soft use' }, use(key, found.now, row.uses_since ?? found.since)),
    make('span', { class: 'soft small' }, 'thumbprint ', make('code', {}, key.thumbprint))))
  return [
    row.jwks && make('p', {}, 'The key set ', make('code', {}, row.jwks), ', read every 5 minutes.'),
    lines.length > 0 && make('ul', { class: 'secrets' }, lines),
    make('p', { class: 'hint' }, `There is no secret: your server signs with a private key, and only it has that. Set ${since(row.rotated, found.now)} ago.`),
    make('div', { class: 'actions left' }, make('button', {
      type: 'button', 'data-key': 'keys', disabled: !found.writable, on: { click: () => replaceKeys(row) },
    }, 'Replace the keys…')),
  ]
}

// use says when a secret or key was used, as far as this gateway knows.
function use(secret, now, started) {
  if (secret.used_last_hour === undefined) return ''
  if (!secret.last_used) return `not used since this gateway began to count, ${since(started, now)} ago`
  return `last used ${since(secret.last_used, now)} ago, ${count(secret.used_last_hour, 'time')} in the last hour`
}
