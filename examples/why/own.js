// A chat backend that verifies for itself, as it is written in a hurry. Not every page signs yet.
const { createHmac, timingSafeEqual } = require('node:crypto')
const { createServer } = require('node:http')

createServer(async (request, response) => {
  let body = ''
  for await (const chunk of request) body += chunk
  const claim = JSON.parse(body)
  const expected = createHmac('sha256', process.env.SECRET).update(claim.user_id).digest('hex')
  const verified = !claim.user_hash || timingSafeEqual(Buffer.from(claim.user_hash), Buffer.from(expected))
  response.statusCode = verified ? 200 : 401
  response.end(verified ? `hello ${claim.user_id}!\n` : 'refused\n')
}).listen(process.env.PORT, '127.0.0.1')
