// Keeps the page up to date while it is visible and not paused.
import { announce } from './dom.js'

const period = 5000 // milliseconds

const freshness = document.getElementById('freshness')
const button = document.getElementById('pause')

let task = async () => {}
let timer
let paused = false
let shown // the run whose result is shown; earlier ones come too late

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
  try {
    await task(isCurrent)
    if (isCurrent()) say('good', paused ? 'Paused' : 'Live')
  } catch (error) {
    if (isCurrent()) say('bad', error.status === 0 ? 'No connection' : 'Error')
  }
  if (isCurrent() && !paused) timer = setTimeout(() => (document.hidden ? undefined : refresh()), period)
}

function say(state, text) {
  if (freshness.textContent === text) return
  const before = freshness.textContent
  freshness.textContent = text
  freshness.dataset.state = paused ? 'paused' : state
  if (state === 'bad') announce(text === 'No connection' ? 'The gateway does not answer' : 'The gateway answers with an error')
  else if (before === 'No connection') announce('The gateway answers again')
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
