# A Rack application: puma backend.ru
require 'json'
require 'jwt'
require 'net/http'

# The keys are kept for 5 minutes. One that is not there is looked for every 10 seconds at most.
class Keys
  @read = -300
  @lock = Mutex.new

  def self.call(options)
    @lock.synchronize do
      age = Process.clock_gettime(Process::CLOCK_MONOTONIC) - @read
      next @keys if age < (options[:kid_not_found] ? 10 : 300)

      answer = Net::HTTP.get_response(URI(ENV.fetch('KEYS_URL')))
      answer.value # raises an error, but for 200
      @read += age
      @keys = JSON.parse(answer.body, symbolize_names: true)
    end
  end
end

# Returns the user, which is widget and id together, or nil for anybody else.
def user(assertion)
  claims, = JWT.decode(assertion, nil, true, algorithms: ['ES256'], jwks: Keys, iss: 'chat-identity', verify_iss: true,
                                             aud: ENV.fetch('AUDIENCE'), verify_aud: true, required_claims: ['exp'], leeway: 5)
  claims.values_at('widget', 'sub') if claims['outcome'] == 'verified'
end

run(lambda do |env|
  status, body = begin
    [200, { user: user(env['HTTP_X_VERIFIED_ASSERTION'].to_s) }]
  rescue JWT::DecodeError
    [401, { error: 'this request has no valid assertion of the gateway' }]
  rescue StandardError
    [503, { error: 'the keys of the gateway cannot be read' }]
  end
  [status, { 'Content-Type' => 'application/json' }, [JSON.generate(body)]]
end)
