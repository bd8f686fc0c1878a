// own.js without its mistakes.
const { createHmac, timingSafeEqual } = require('node:crypto')
const { createServer } = require('node:http')

const secrets = [process.env.SECRET, process.env.OLD_SECRET] // while pages of before a rotation are open

function verified(claim) {
  if (typeof claim?.user_id !== 'string' || claim.user_id === '' || typeof claim.user_hash !== 'string') return false
  const hash = Buffer.from(claim.user_hash, 'hex') // in upper case, too
  return secrets.some((secret) => {
    const expected = createHmac('sha256', secret).update(claim.user_id).digest()
    return hash.length === expected.length && timingSafeEqual(hash, expected)
  })
}

createServer(async (request, response) => {
  try {
    let body = ''
    request.setEncoding('utf8') // a character may be in two chunks
    for await (const chunk of request) body += chunk
    const claim = JSON.parse(body)
    const user = verified(claim) ? claim.user_id : 'visitor' // while not every page signs
    response.end(`hello ${user}!\n`)
  } catch {
    response.statusCode = 400
    response.end('refused\n')
  }
}).listen(process.env.PORT, '127.0.0.1')
