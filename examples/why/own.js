// A chat backend that verifies for itself.
const { createHmac, timingSafeEqual } = require('node:crypto')
const { createServer } = require('node:http')

createServer(async (request, response) => {
  let body = ''
  for await (const chunk of request) body += chunk
  const claim = JSON.parse(body || '{}')
  const expected = createHmac('sha256', process.env.SECRET).update(claim.user_id).digest()
  const verified = timingSafeEqual(Buffer.from(claim.user_hash, 'hex'), expected)
  response.statusCode = verified ? 200 : 401
  response.end(verified ? `hello ${claim.user_id}!\n` : 'refused\n')
}).listen(process.env.PORT, '127.0.0.1')
