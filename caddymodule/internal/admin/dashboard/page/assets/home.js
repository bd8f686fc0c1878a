// The list of widgets, below the state of the gateway.
import * as api from './api.js'
import { create } from './create.js'
import { make, refill } from './dom.js'
import { count, number, requests, since, time } from './format.js'
import { list } from './list.js'
import { go, toList, toWidget } from './place.js'
import { timeline } from './timeline.js'
import { cards } from './traffic.js'
import { warnings } from './warnings.js'

const pageSize = 50

const questions = [
  ['sort', 'Order', [['', 'Busiest first'], ['rate', 'Lowest verified rate first'], ['id', 'By id'], ['newest', 'Last rotated first'], ['oldest', 'Longest not rotated first']]],
  ['mode', 'Mode', [['', 'Any mode'], ['off', 'Off'], ['optional', 'Optional'], ['required', 'Required']]],
  ['filter', 'State', [['', 'Any state'], ['failing', 'Failing in the last hour'], ['grace', 'In a grace'], ['unavailable', 'Unavailable']]],
]

export function home() {
  const notices = make('div', { class: 'notices' })
  const totals = make('div', { class: 'windows' })
  const overTime = timeline()
  const state = make('p', { class: 'state' })
  const table = list()
  const pager = make('nav', { class: 'paging', 'aria-label': 'Pages' })
  const strays = make('div')
  let query = new URLSearchParams()

  // Whatever is asked for begins on the first page.
  const ask = (name, value, options) => go(toList({ [name]: value, from: '', after: '' }), options)
  const search = make('input', {
    type: 'search', id: 'search', placeholder: 'Find by id', autocomplete: 'off', spellcheck: 'false', 'aria-label': 'Find widgets whose id begins with',
  })
  let typed
  search.addEventListener('input', () => {
    clearTimeout(typed)
    typed = setTimeout(() => ask('prefix', search.value.trim(), { replace: true }), 150)
  })
  const selects = questions.map(([name, label, options]) => make('select', {
    'aria-label': label, name, on: { change: (event) => ask(name, event.target.value) },
  }, options.map(([value, text]) => make('option', { value }, text))))
  const createButton = make('button', { type: 'button', class: 'primary', id: 'create', on: { click: () => create() } }, 'New widget')

  const element = make('div', { class: 'home' },
    make('h1', { class: 'unseen', tabindex: '-1' }, 'Chat widgets'),
    notices, totals, overTime.element, state,
    make('div', { class: 'bar-of-list' }, make('h2', {}, 'Widgets'), search, selects, createButton),
    table.element, pager, strays)

  // turn shows what the URL asks for.
  function turn(next) {
    overTime.turn(next)
    if ([...questions.map(([name]) => name), 'prefix', 'from', 'after'].some((name) => next.get(name) !== query.get(name))) table.loading()
    query = next
    for (const [i, [name]] of questions.entries()) selects[i].value = query.get(name) ?? ''
    if (document.activeElement !== search) search.value = query.get('prefix') ?? ''
  }

  async function update(isCurrent) {
    const asked = { limit: pageSize }
    for (const name of ['sort', 'mode', 'filter', 'prefix', 'after', 'from']) if (query.get(name)) asked[name] = query.get(name)
    // What cannot begin an id would find nothing.
    const possible = /^([A-Za-z0-9][A-Za-z0-9._-]{0,127})?$/.test(asked.prefix ?? '')
    if (!possible) delete asked.prefix
    let found, history
    try {
      [found, history] = await Promise.all([api.overview(asked), api.history()])
    } catch (error) {
      if (isCurrent()) table.failed()
      throw error
    }
    if (!isCurrent()) return
    if (!possible) Object.assign(found, { widgets: [], found: { ...found.found, from: 0, matches: 0, stopped: '' } })
    refill(notices, warnings(found))
    refill(totals, cards(found.total))
    overTime.show(history, found.since)
    refill(state, stateOf(found))
    createButton.disabled = !found.writable
    createButton.title = found.writable ? '' : 'The store cannot currently be written to.'
    table.show(found, query, () => create())
    refill(pager, pages(found.found, query))
    refill(strays, strangers(found))
  }

  return { element, update, turn }
}

function stateOf(found) {
  const light = (name, text, good) => make('span', {},
    make('span', { class: `dot ${good ? 'verified' : 'bad'}`, 'aria-hidden': 'true' }), `${name} `, make('b', {}, text))
  const reach = (one) => (!one.reachable ? 'unreachable' : one.lost ? 'lost' : 'reachable')
  return [
    light('Store', reach(found.store), reach(found.store) === 'reachable'),
    found.ledger.used ? light('Ledger', reach(found.ledger), reach(found.ledger) === 'reachable')
      : make('span', {}, 'Ledger ', make('b', {}, 'not used')),
    signer(found),
    found.open_streams > 0 && make('span', {}, 'Open streams ', make('b', {}, number(found.open_streams))),
    make('span', {}, `Counting since ${time(found.since)}`),
    found.gateway && make('span', {}, `Version ${found.gateway.version}, Caddy ${found.gateway.caddy}`),
  ]
}

// signer says which key signs assertions, and which will.
function signer({ signing_keys: keys, now }) {
  const key = (wanted) => (keys ?? []).find(({ state }) => state === wanted)
  const named = (text, { kid }) => [text, make('code', { title: kid }, kid.slice(0, 8))]
  const [current, next] = [key('current'), key('next')]
  return current && make('span', {}, named('Signs with ', current), `, ${since(current.created, now)} old`,
    next && named('; next ', next), next && `, published for ${since(next.created, now)}`)
}

// pages says which part of the widgets is shown, and leads to the others.
function pages({ from, matches, stopped, searched, stored }, query) {
  const link = (label, to, rel) => make('a', to ? { class: 'button', href: to, rel, 'data-key': label } : { class: 'button', role: 'link', 'aria-disabled': 'true' }, label)
  const last = Math.min(from + pageSize - 1, matches)
  const after = query.get('after')
  return [
    (stopped || after) && make('p', { class: 'hint' },
      `${count(searched, 'widget')}${stored > searched ? ` of about ${number(stored)}` : ''} searched by id, ${after ? `those after ${after}` : 'from the first'}${stopped ? ` up to ${stopped}` : ''}. `,
      stopped && make('a', { href: toList({ after: stopped, from: '' }), 'data-key': 'on' }, 'Continue the search there'),
      stopped && after && ' · ', after && make('a', { href: toList({ after: '', from: '' }), 'data-key': 'first' }, 'From the first')),
    matches > 0 && make('span', { class: 'position' }, `${number(from)}${last > from ? `–${number(last)}` : ''} of ${number(matches)}`),
    matches > pageSize && link('Previous', from > 1 && toList({ from: from > pageSize + 1 ? from - pageSize : '' }), 'prev'),
    matches > pageSize && link('Next', last < matches && toList({ from: last + 1 }), 'next'),
  ]
}

// strangers are the ids that requests named and no widget has.
function strangers(found) {
  const all = found.unknown_widgets ?? []
  const stray = found.unknown.day.requests
  if (all.length === 0 && stray === 0) return null
  return make('section', { class: 'card strays' }, make('h2', {}, 'Requests for unknown widgets'),
    make('p', { class: 'hint' }, `${requests(stray)} in the last day named a widget that does not exist.`),
    make('ul', {}, all.map(({ id, requests: n, last, nearest }) => make('li', {},
      make('code', {}, id), make('span', { class: 'soft' }, ` ${requests(n)}, the last at ${time(last)}. `),
      nearest?.length > 0 && make('span', {}, 'Perhaps it means ', nearest.flatMap((near, i) => [i > 0 && ', ', make('a', { href: toWidget(near), 'data-key': `${id} ${near}` }, near)]))))))
}
