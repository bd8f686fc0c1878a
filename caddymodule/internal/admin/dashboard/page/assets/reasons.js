// What the reasons mean to an operator who has to act on them. The gateway's own
// hints say more about single requests.

const nobody = 'quiet' // the request claimed nothing
const wrong = 'warn' // a claim that does not hold
const fault = 'bad' // the gateway's own
export const kinds = [nobody, wrong, fault]

const table = {
  missing: ['No claim', nobody, 'No user id and no signature were sent: the visitor is not signed in, or the page does not send them yet.'],
  partial: ['Half a claim', nobody, 'A user id without its signature, or the reverse. Send both, or neither.'],
  invalid: ['Wrong signature', wrong, 'The signature does not match: another secret was used, another text was signed, or it is a forgery.'],
  expired: ['Too old, or ahead', wrong, 'The signed time is too long ago or in the future. Sign when the page is opened, and check the server’s clock.'],
  session: ['Session over', nobody, 'A session that has expired, or whose secret was retired: after a rotation every page has one. The page gets a new one by itself.'],
  replayed: ['Used before', wrong, 'A one-time signature was sent a second time. Generate a new one for each request.'],
  conversation_claimed: ['Another user’s conversation', wrong, 'The conversation belongs to another user.'],
  widget_unknown: ['Unknown widget', wrong, 'There is no such widget, or its dialect is not the handler’s.'],
  ambiguous: ['Ambiguous', wrong, 'A field appears more than once, or with two values: the gateway refuses what can be read in two ways.'],
  malformed: ['Malformed', wrong, 'The body is not valid for its type, or a field has the wrong type or length.'],
  too_large: ['Too large', wrong, 'The body is larger than max_body.'],
  unsupported: ['Compressed, or not UTF-8', wrong, 'The body is compressed, or its charset is not UTF-8.'],
  unavailable: ['Unavailable', fault, 'The store or the ledger could not be reached, or no encryption key decrypts the widget’s secret.'],
  disabled: ['Mode off', nobody, 'The mode is off: nothing was verified.'],
}

const unknown = ['Another reason', wrong, 'See the gateway’s log.']

export const title = (reason) => (table[reason] ?? unknown)[0]
export const kind = (reason) => (table[reason] ?? unknown)[1]
export const meaning = (reason) => (table[reason] ?? unknown)[2]

// sorted returns a window's reasons, most frequent first.
export function sorted(reasons = {}) {
  return Object.entries(reasons).filter(([, count]) => count > 0).sort(([a, m], [b, n]) => n - m || (a < b ? -1 : 1))
}
