// The list of widgets, below the state of the gateway.
import { overview } from './api.js'
import { create } from './create.js'
import { make, refill } from './dom.js'
import { requests, since } from './format.js'
import { list } from './list.js'
import { refresh } from './refresh.js'
import { cards } from './traffic.js'
import { warnings } from './warnings.js'

const pageSize = 50

export function home() {
  const query = { view: 'busiest', prefix: '', after: [''] }
  const notices = make('div', { class: 'notices' })
  const totals = make('div', { class: 'windows' })
  const state = make('p', { class: 'state' })
  const table = list()
  const again = () => {
    table.loading()
    return refresh()
  }

  const search = make('input', {
    type: 'search', id: 'search', placeholder: 'Find by id', autocomplete: 'off', spellcheck: 'false', 'aria-label': 'Find widgets whose id begins with',
  })
  let typed
  search.addEventListener('input', () => {
    clearTimeout(typed)
    typed = setTimeout(() => {
      query.prefix = search.value.trim()
      query.after = ['']
      again()
    }, 150)
  })

  const views = [['busiest', 'Busiest'], ['all', 'All by id']].map(([name, label]) => make('button', {
    type: 'button', 'aria-pressed': String(query.view === name), on: {
      click: () => {
        query.view = name
        query.after = ['']
        for (const [i, other] of ['busiest', 'all'].entries()) views[i].setAttribute('aria-pressed', String(other === name))
        again()
      },
    },
  }, label))
  const createButton = make('button', { type: 'button', class: 'primary', id: 'create', on: { click: () => create() } }, 'New widget')

  const previous = make('button', { type: 'button', disabled: true }, 'Previous')
  const next = make('button', { type: 'button', disabled: true }, 'Next')
  let following = ''
  previous.addEventListener('click', () => {
    query.after.pop()
    again()
  })
  next.addEventListener('click', () => {
    query.after.push(following)
    again()
  })
  const paging = make('nav', { class: 'paging', 'aria-label': 'Pages', hidden: true }, previous, next)

  const element = make('div', { class: 'home' },
    make('h1', { class: 'unseen', tabindex: '-1' }, 'Chat widgets'),
    notices, totals, state,
    make('div', { class: 'bar-of-list' }, make('h2', {}, 'Widgets'), make('div', { class: 'segments', role: 'group', 'aria-label': 'Order' }, views), search, createButton),
    table.element, paging)

  async function update(isCurrent) {
    const after = query.after.at(-1)
    const asked = { view: query.view, limit: pageSize }
    if (query.prefix) asked.prefix = query.prefix
    if (query.view === 'all' && after) asked.after = after
    // What cannot begin an id would find nothing.
    const possible = /^([A-Za-z0-9][A-Za-z0-9._-]{0,127})?$/.test(query.prefix)
    if (!possible) delete asked.prefix
    const found = await overview(asked)
    if (!isCurrent()) return
    if (!possible) Object.assign(found, { widgets: [], next: '' })
    refill(notices, warnings(found))
    refill(totals, cards(found.total))
    refill(state, stateOf(found))
    createButton.disabled = !found.writable
    createButton.title = found.writable ? '' : 'The store cannot currently be written to.'
    table.show(found, query.prefix, () => create())
    following = found.next
    previous.disabled = query.after.length < 2
    next.disabled = query.view !== 'all' || !found.next
    paging.hidden = previous.disabled && next.disabled
  }

  function failed(error) {
    refill(notices, make('p', { class: 'notice bad', role: 'alert' }, error.message))
    if (!totals.hasChildNodes()) table.failed()
  }

  return { element, update, failed }
}

function stateOf(found) {
  const light = (name, text, good) => make('span', { class: 'light' },
    make('span', { class: `dot ${good ? 'verified' : 'bad'}`, 'aria-hidden': 'true' }), `${name} `, make('b', {}, text))
  const stray = found.unknown.day.requests
  return [
    light('Store', found.store.reachable ? 'reachable' : 'unreachable', found.store.reachable),
    found.ledger.used ? light('Ledger', !found.ledger.reachable ? 'unreachable' : found.ledger.lost ? 'lost' : 'reachable',
      found.ledger.reachable && !found.ledger.lost)
      : make('span', { class: 'light' }, 'Ledger ', make('b', {}, 'not used')),
    make('span', {}, `This gateway has counted for ${since(found.since, found.now)}`),
    stray > 0 && make('span', {}, `${requests(stray)} in the last day named no existing widget`),
  ]
}
