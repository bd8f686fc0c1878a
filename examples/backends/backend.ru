# A Rack application: puma backend.ru
require 'json'
require 'jwt'
require 'net/http'

KEYS_URL, AUDIENCE = %w[KEYS_URL AUDIENCE].map do |name|
  ENV[name].to_s.empty? ? abort("#{name} is not set: README.md says what it is") : ENV[name]
end
ISSUER = ENV.fetch('ISSUER', 'chat-identity')

# The keys are kept for 5 minutes. One that is not there is looked for every 10 seconds at most.
class Keys
  @read = -300
  @lock = Mutex.new

  def self.call(options)
    @lock.synchronize do
      age = Process.clock_gettime(Process::CLOCK_MONOTONIC) - @read
      next @keys if age < (options[:kid_not_found] ? 10 : 300)

      answer = Net::HTTP.get_response(URI(KEYS_URL))
      answer.value # raises an error, but for 200
      @keys = JSON.parse(answer.body, symbolize_names: true).tap { |set| set.fetch(:keys) }
      @read += age
      @keys
    end
  end
end

# Returns the user, which is widget and id together, or nil for anybody else.
def user(assertion)
  claims, = JWT.decode(assertion, nil, true, algorithms: ['ES256'], jwks: Keys, iss: ISSUER, verify_iss: true,
                                             aud: AUDIENCE, verify_aud: true, required_claims: ['exp'], leeway: 30)
  claims.values_at('widget', 'sub') if claims['outcome'] == 'verified'
end

run(lambda do |env|
  status, body = begin
    [200, { user: user(env['HTTP_X_VERIFIED_ASSERTION'].to_s) }]
  rescue JWT::DecodeError => e
    warn "no user is read from the assertion: #{e.class}: #{e.message.dump}"
    [401, { error: 'this request has no valid assertion of the gateway' }]
  rescue StandardError => e
    warn "the keys cannot be read: #{e.class}: #{e.message.dump}"
    [503, { error: 'the keys of the gateway cannot be read' }]
  end
  [status, { 'Content-Type' => 'application/json' }, [JSON.generate(body)]]
end)
