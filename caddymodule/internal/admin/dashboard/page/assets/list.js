// The table of widgets. Rows stay the same elements from one answer to the next,
// so that focus and selection are kept. While the pointer or the focus is on the
// table, the order stays, so that no click hits another row.
import { make, write } from './dom.js'
import { number, percent, since, time, until } from './format.js'
import { toList, toWidget } from './place.js'
import { bar, main, windows } from './traffic.js'

const columns = ['Widget', 'Mode', 'Dialect', 'Minute', 'Hour', 'Day', 'Why not the rest', 'Secret']

export function list() {
  const body = make('tbody')
  const table = make('table', { class: 'widgets', hidden: true },
    make('caption', { class: 'unseen' }, 'Widgets, with the share of their requests that were verified'),
    make('thead', {}, make('tr', {}, columns.map((name, i) => make('th', { scope: 'col' },
      i >= 3 && i <= 5 && make('span', { class: i > 3 ? 'unseen' : undefined }, 'Verified: '), i === 3 ? 'minute' : name)))), body)
  const status = make('div', { class: 'empty', role: 'status' }, 'Loading widgets…')
  const element = make('div', { class: 'card list', 'aria-busy': 'true' }, table, status)
  const rows = new Map()
  let asked = '' // what the order is for

  const busy = () => element.matches(':hover') || element.contains(document.activeElement)

  function show(found, query, create) {
    const order = found.widgets.map((widget) => widget.id)
    for (const widget of found.widgets) {
      if (!rows.has(widget.id)) rows.set(widget.id, row(widget.id))
      rows.get(widget.id).show(widget, found.now)
    }
    const gone = [...rows.keys()].filter((id) => !order.includes(id))
    for (const id of gone) {
      rows.get(id).element.remove()
      rows.delete(id)
    }
    const fresh = element.getAttribute('aria-busy') === 'true'
    for (const [i, id] of order.entries()) {
      const line = rows.get(id).element
      if (!line.isConnected || ((fresh || !busy()) && body.children[i] !== line)) body.insertBefore(line, body.children[i] ?? null)
    }
    element.setAttribute('aria-busy', 'false')
    table.hidden = order.length === 0
    status.hidden = order.length > 0
    const key = `${query} ${found.writable}`
    if (order.length === 0 && asked !== key) status.replaceChildren(...empty(query, found.writable, create))
    asked = key
  }

  return {
    element,
    show,
    loading: () => element.setAttribute('aria-busy', 'true'),
    failed: () => {
      element.setAttribute('aria-busy', 'false')
      asked = ''
      if (rows.size === 0) status.textContent = 'The widgets could not be loaded.'
    },
  }
}

function empty(query, writable, create) {
  const prefix = query.get('prefix')
  const narrowed = ['mode', 'filter', 'after'].some((name) => query.get(name))
  if (prefix && !narrowed) return [make('p', {}, `No widget’s id begins with “${prefix}”.`)]
  if (narrowed) return [make('p', {}, 'No widget matches.'), make('a', { href: toList({ prefix: '', mode: '', filter: '', after: '', from: '' }) }, 'Show all widgets')]
  return [
    make('h3', {}, 'No widgets yet'),
    make('p', {}, 'A widget is one chat on one website, with a secret of its own. Your server signs user ids with it, and the gateway checks them.'),
    make('button', { type: 'button', class: 'primary', disabled: !writable, on: { click: create } }, 'Create the first widget'),
  ]
}

function row(id) {
  const tag = make('span', { class: 'tag', hidden: true })
  const mode = make('span', { class: 'mode' }) // inherited: as the site block says
  const dialect = make('span')
  const rates = windows.map(() => ({ rate: make('span', { class: 'share' }), of: make('span', { class: 'soft' }) }))
  const line = make('div', { class: 'line' })
  const why = make('span', { class: 'why' })
  const age = make('span')
  const note = make('span', { class: 'note', hidden: true })
  const cell = (label, ...content) => make('td', { 'data-label': label }, ...content)
  const element = make('tr', { 'data-id': id },
    make('th', { scope: 'row' }, make('a', { href: toWidget(id), class: 'id' }, id), tag),
    cell('Mode', mode), cell('Dialect', dialect),
    ...rates.map(({ rate, of }, i) => cell(columns[3 + i], rate, of)),
    cell(columns[6], line, why), cell('Secret', age, note))

  function show(widget, now) {
    tag.hidden = widget.source === 'stored'
    write(tag, widget.source === 'handler' ? 'in the site block' : 'inline')
    mode.dataset.mode = widget.effective_mode || widget.mode || ''
    write(mode, widget.effective_mode || widget.mode || 'inherited')
    mode.title = widget.mode_why ?? ''
    write(dialect, widget.dialect || 'inherited')
    dialect.className = widget.dialect ? '' : 'soft'
    for (const [i, [name]] of windows.entries()) {
      write(rates[i].rate, percent(widget[name].verified, widget[name].requests))
      write(rates[i].of, widget[name].requests ? `of ${number(widget[name].requests)}` : '')
    }
    line.replaceChildren(...(widget.day.requests ? [bar(widget.day)] : []))
    write(why, widget.day.requests ? main(widget.day) || 'all verified' : 'no requests')
    showSecret(widget, now)
  }

  function showSecret(widget, now) {
    write(age, widget.rotated ? since(widget.rotated, now, 'just now') : '–')
    age.title = widget.rotated ? `created ${time(widget.rotated)}` : ''
    const grace = (widget.secrets ?? []).find((secret) => secret.until)
    const keys = widget.jwks ? 'key set' : widget.public_keys ? 'public keys' : ''
    note.hidden = !grace && !widget.unavailable && !keys
    note.classList.toggle('alarm', Boolean(widget.unavailable))
    write(note, widget.unavailable ? 'unavailable' : grace ? `grace: ${until(grace.until, now)} left` : keys)
    note.title = widget.unavailable ?? (grace ? `The previous secret verifies until ${time(grace.until)}.` : '')
  }

  return { element, show }
}
