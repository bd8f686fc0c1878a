// How numbers and times are written. All times are UTC, as those of the log.

const whole = new Intl.NumberFormat('en')
const written = (options) => new Intl.DateTimeFormat('en-GB', { timeZone: 'UTC', ...options })
const stamp = written({ dateStyle: 'medium', timeStyle: 'medium' })
const minutes = written({ hour: '2-digit', minute: '2-digit' })

export const number = (n) => whole.format(n)

export const count = (n, one) => `${number(n)} ${one}${n === 1 ? '' : 's'}`

export const requests = (n) => count(n, 'request')

// percent never rounds to 0 or 100 what is neither.
export function percent(part, of) {
  if (!of) return '–'
  if (part === of) return '100\u00a0%'
  if (part === 0) return '0\u00a0%'
  const value = Math.min(99.9, Math.max(0.1, (100 * part) / of))
  return `${value >= 99 || value < 10 ? value.toFixed(1) : Math.round(value)}\u00a0%`
}

const minute = 60_000
const hour = 60 * minute
const day = 24 * hour

// span writes a duration, in milliseconds, in the largest unit of which it has two.
export function span(milliseconds) {
  const [unit, name] = milliseconds >= 2 * day ? [day, 'day'] : milliseconds >= 2 * hour ? [hour, 'hour']
    : milliseconds >= 2 * minute ? [minute, 'minute'] : [1000, 'second']
  return count(Math.max(0, Math.floor(milliseconds / unit)), name)
}

// since and until use the gateway’s clock, not the browser’s.
export function since(time, now, atOnce) {
  const passed = new Date(now) - new Date(time)
  return atOnce && passed < minute ? atOnce : span(passed)
}

export const until = (time, now) => span(new Date(time) - new Date(now))

export const time = (text) => `${stamp.format(new Date(text))} UTC`

// hourOf is a time of the day without its zone.
export const hourOf = (time) => minutes.format(new Date(time))

export const clock = (time) => `${hourOf(time)} UTC`

// sentence turns the gateway’s lower-case message into a sentence.
export function sentence(text) {
  const first = text.charAt(0).toUpperCase() + text.slice(1)
  return /[.!?]$/.test(first) ? first : `${first}.`
}
