// Requests of all widgets over time: verified, and not verified by reason, as one
// drawing with a table behind it.
import { make, refill, svg } from './dom.js'
import { clock, hourOf, number, percent, requests, time } from './format.js'
import { go, toList } from './place.js'
import { kind, kinds, sorted, title } from './reasons.js'

const spans = {
  hour: { label: 'Hour', steps: 60, per: 'minute', ticks: 15 },
  day: { label: 'Day', steps: 96, per: '15 minutes', ticks: 16 },
}
const height = 190
const edge = { left: 44, right: 18, top: 22, bottom: 24 }

export function timeline() {
  const figure = make('div', { class: 'timeline' })
  const readout = make('p', { class: 'readout' })
  const legend = make('ul', { class: 'legend' })
  const rows = make('div', { class: 'scroll', tabindex: '0', role: 'region', 'aria-label': 'Requests over time' })
  const behind = make('details', {}, make('summary', {}, 'As a table'), rows)
  const choices = Object.entries(spans).map(([name, { label }]) => make('button', {
    type: 'button', on: { click: () => go(toList({ span: name === 'hour' ? '' : name })) },
  }, label))
  const heading = make('h2', {})
  const element = make('section', { class: 'card over-time' },
    make('div', { class: 'bar-of-list' }, heading, make('div', { class: 'segments', role: 'group', 'aria-label': 'Period' }, choices)),
    figure, readout, legend, behind)
  let answer, started, graph, pointer
  let span = 'hour'

  new ResizeObserver(draw).observe(figure)
  behind.addEventListener('toggle', draw)
  for (const [name, at] of [['pointermove', (event) => event.clientX - figure.getBoundingClientRect().left], ['pointerleave', () => undefined]]) {
    figure.addEventListener(name, (event) => {
      pointer = at(event)
      read()
    })
  }

  // read says what the pointer is on, else what all of it is.
  const read = () => { readout.textContent = (pointer && graph?.at(pointer)) || graph?.says }

  function draw() {
    for (const [i, name] of Object.keys(spans).entries()) choices[i].setAttribute('aria-pressed', String(name === span))
    heading.textContent = `Requests per ${spans[span].per}, all widgets`
    if (!answer || !figure.clientWidth) return
    graph = graphOf(answer, span, started, figure.clientWidth)
    refill(figure, graph.drawing)
    refill(legend, graph.legend)
    read()
    if (behind.open) refill(rows, graph.table())
  }

  return {
    element,
    turn(query) {
      span = query.get('span') === 'day' ? 'day' : 'hour'
      draw()
    },
    show(found, since) {
      answer = found
      started = since
      draw()
    },
  }
}

// graphOf draws the requests of a span, so many pixels wide.
function graphOf(answer, span, started, width) {
  const { steps, per, ticks } = spans[span]
  const { points, step_seconds: seconds } = answer[span]
  const step = seconds * 1000
  const shown = points.map(pointOf)
  const end = (shown.at(-1)?.at ?? Number(new Date(answer.now))) + step // of the running one
  const begin = end - steps * step
  const sum = pointOf({ at: begin, verified: 0, disabled: 0, reasons: {} })
  for (const point of shown) {
    sum.verified += point.verified
    sum.requests += point.requests
    for (const [reason, n] of Object.entries(point.reasons)) sum.reasons[reason] = (sum.reasons[reason] ?? 0) + n
  }
  const busiest = shown.reduce((most, point) => (point.requests > most.requests ? point : most), sum.requests ? shown[0] : sum)
  const top = scale(sum.requests ? busiest.requests : 0)
  const x = (at) => edge.left + (width - edge.left - edge.right) * (at - begin) / (end - begin)
  const y = (n) => height - edge.bottom - (height - edge.top - edge.bottom) * n / top
  const reasons = sorted(sum.reasons)
  // Below are those that claimed nothing, above what is broken.
  const order = reasons.map(([reason]) => reason).sort((a, b) => kinds.indexOf(kind(a)) - kinds.indexOf(kind(b)))

  const says = sum.requests === 0 ? `In the ${span} to ${clock(answer.now)} there were no requests.`
    : `In the ${span} to ${clock(answer.now)}: ${requests(sum.requests)}, ${percent(sum.verified, sum.requests)} verified; at most ${number(busiest.requests)} per ${per}, at ${clock(busiest.at)}.`
  const drawing = svg('svg', { viewBox: `0 0 ${width} ${height}`, height, role: 'img', 'aria-label': `${says} The table below has the numbers.` })
  const text = (at, level, anchor, words) => drawing.append(svg('text', { x: at, y: level, 'text-anchor': anchor }, words))
  const since = new Date(started)
  if (since > begin) {
    drawing.append(svg('rect', { class: 'before', x: edge.left, width: x(since) - edge.left, y: edge.top, height: y(0) - edge.top }),
      svg('line', { class: 'mark', x1: x(since), x2: x(since), y1: edge.top - 6, y2: y(0) }))
    const late = x(since) > width / 2
    text(x(since) + (late ? -4 : 4), edge.top - 8, late ? 'end' : 'start', `gateway started ${clock(since)}`)
  }
  for (const part of [0, 0.5, 1]) {
    drawing.append(svg('line', { class: 'rule', x1: edge.left, x2: width - edge.right, y1: y(top * part), y2: y(top * part) }))
    text(edge.left - 6, y(top * part) + 4, 'end', number(top * part))
  }
  for (let at = Math.ceil(begin / (ticks * step)) * ticks * step; at <= end; at += ticks * step) {
    text(x(at), height - 6, 'middle', hourOf(at))
  }
  const gap = (x(step) - x(0)) > 6 ? 1 : 0.5
  for (const point of shown) {
    let level = 0
    let from = y(0)
    const segment = (n, name) => {
      if (!n) return
      level += n
      const to = Math.min(y(level), from - 1) // a single one can be seen, too
      drawing.append(svg('rect', { class: name, x: x(point.at) + gap / 2, width: Math.max(x(step) - x(0) - gap, 1), y: to, height: from - to }))
      from = to
    }
    segment(point.verified, 'verified')
    for (const reason of order) segment(point.reasons[reason], kind(reason))
  }

  const entries = [['verified', 'Verified', sum.verified], ...reasons.map(([reason, n]) => [kind(reason), title(reason), n])]
  return {
    drawing,
    says,
    legend: entries.map(([name, words, n]) => make('li', {}, make('span', { class: `dot ${name}`, 'aria-hidden': 'true' }), `${words} `,
      make('span', { class: 'count' }, number(n)))),
    // at says what a pointer is on.
    at(pixel) {
      const point = shown.find(({ at }) => pixel >= x(at) && pixel < x(at + step))
      return point && `${clock(point.at)}: ${[requests(point.requests), ...point.requests ? [`${number(point.verified)} verified`] : [],
        ...sorted(point.reasons).map(([reason, n]) => `${title(reason)} ${number(n)}`)].join(', ')}.`
    },
    table: () => make('table', {},
      make('thead', {}, make('tr', {}, ['From', 'Requests', 'Verified', ...reasons.map(([reason]) => title(reason))].map((name) => make('th', { scope: 'col' }, name)))),
      make('tbody', {}, [...shown].reverse().map((point) => make('tr', {}, make('th', { scope: 'row' }, time(point.at)),
        [point.requests, point.verified, ...reasons.map(([reason]) => point.reasons[reason] ?? 0)].map((n) => make('td', {}, number(n))))))),
  }
}

function pointOf({ at, verified, disabled, reasons }) {
  const all = { ...reasons, ...disabled ? { disabled } : {} }
  return { at: Number(new Date(at)), verified, reasons: all, requests: Object.values(all).reduce((sum, n) => sum + n, verified) }
}

// scale returns a round number at or above n, whose half is whole.
function scale(n) {
  for (let unit = 1; ; unit *= 10) {
    for (const top of [2, 4, 10]) if (top * unit >= n) return top * unit
  }
}
