// Keeps the page up to date while it is visible and not paused, and says since when
// it is not.
import { announce, make, refill } from './dom.js'
import { clock, time } from './format.js'

const period = 5000 // milliseconds

const freshness = document.getElementById('freshness')
const button = document.getElementById('pause')
const trouble = document.getElementById('trouble')

let task = async () => {}
let timer
let paused = false
let shown // the run whose result is shown; earlier ones come too late
let answered // when the gateway last answered, or, if it never did, when it was first asked

// show starts to run a task, again and again, until another one is shown.
export function show(next) {
  task = next
  return refresh()
}

// refresh runs the task now.
export async function refresh() {
  clearTimeout(timer)
  const run = {}
  shown = run
  const isCurrent = () => shown === run
  answered ??= new Date()
  try {
    await task(isCurrent)
    if (!isCurrent()) return
    answered = new Date()
    say('good', paused ? 'Paused' : 'Live')
  } catch (error) {
    if (!isCurrent()) return
    // The dashboard command answers 502 for a gateway that does not.
    const down = error.status === 0 || error.status === 502
    say('bad', down ? `Gateway down since ${clock(answered)}` : 'Error', down
      ? [make('strong', {}, `The gateway has not answered since ${time(answered)}.`),
        ' What is shown is from then. Is Caddy running, and is your tunnel to it open? This page keeps trying.'] : [error.message])
  }
  if (!paused) timer = setTimeout(() => (document.hidden ? undefined : refresh()), period)
}

function say(state, text, problem) {
  document.getElementById('main').classList.toggle('old', state === 'bad')
  refill(trouble, problem && make('p', { class: 'notice bad', role: 'alert' }, problem))
  if (freshness.textContent === text) return
  const before = freshness.dataset.state
  freshness.textContent = text
  freshness.dataset.state = paused ? 'paused' : state
  if (before === 'bad' && state === 'good') announce('The gateway answers again')
}

button.addEventListener('click', () => {
  paused = !paused
  button.setAttribute('aria-pressed', String(paused))
  button.textContent = paused ? 'Resume' : 'Pause'
  if (paused) {
    clearTimeout(timer)
    say('good', 'Paused')
  } else {
    refresh()
  }
})

document.addEventListener('visibilitychange', () => {
  if (!document.hidden && !paused) refresh()
})
