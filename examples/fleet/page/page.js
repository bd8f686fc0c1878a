'use strict'

const gateways = new Map() // name: {row, said, count}

function row(name) {
  let g = gateways.get(name)
  if (!g) {
    const row = document.createElement('tr')
    row.append(...[name, '', ''].map(text => Object.assign(document.createElement('td'), { textContent: text })))
    g = { row, said: '', count: 0 }
    gateways.set(name, g)
    document.getElementById('gateways').replaceChildren(...[...gateways].sort().map(([, other]) => other.row))
  }
  return g
}

function note(text) {
  const line = document.createElement('li')
  line.textContent = `${new Date().toLocaleTimeString()} ${text}`
  document.getElementById('changes').prepend(line)
}

function show(name, said, verified) {
  const g = row(name)
  g.count++
  g.row.cells[1].textContent = said
  g.row.cells[1].className = verified ? 'verified' : 'refused'
  g.row.cells[2].textContent = g.count
  if (g.said !== said) {
    g.said = said
    note(`gateway ${name}: ${said}`)
  }
}

// The signature is valid until the secret changes. Fetching it for each message would
// make a balancer of two send all messages to the same gateway.
let claim = null

async function send() {
  const trouble = document.getElementById('trouble')
  try {
    claim ??= await (await fetch('/claim', { method: 'POST' })).json()
    const response = await fetch('/chat', {
      method: 'POST',
      headers: { 'Content-Type': 'application/json', 'X-Widget-Key': 'shop' },
      body: JSON.stringify({ ...claim, text: 'hello' }),
    })
    const answer = await response.json()
    const said = response.ok ? `${answer.outcome} ${answer.user}` : `${response.status} ${answer.reason}`
    show(response.headers.get('X-Gateway'), said, response.ok)
    trouble.textContent = ''
  } catch (error) {
    trouble.textContent = `No answer: ${error.message}`
  }
  setTimeout(send, 333)
}

document.getElementById('form').addEventListener('submit', async event => {
  event.preventDefault()
  const input = document.getElementById('secret')
  const response = await fetch('/secret', { method: 'POST', body: JSON.stringify({ secret: input.value }) })
  claim = null
  note(response.ok ? 'the website signs with the new secret' : (await response.json()).error)
  input.value = ''
})

send()
