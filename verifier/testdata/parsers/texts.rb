# As texts.js.
require 'base64' rescue nil
require 'json'
require 'uri'
decoders = { 'v' => { 'json' => ->(s) { s } }, 'c' => {
  'decode64' => ->(s) { s.unpack1('m') }, 'strict' => ->(s) { s.unpack1('m0') },
  'urlsafe' => ->(s) { s.tr('-_', '+/').ljust((s.length + 3) / 4 * 4, '=').unpack1('m0') },
  'urlsafe lenient' => ->(s) { s.tr('-_', '+/').unpack1('m') } } }
STDIN.binmode
STDIN.read.split("\n", -1)[0..-2].each do |line|
  found = {}
  decoders.each do |name, of|
    of.each do |decoder, decode|
      d = JSON.parse(decode.call(URI.decode_www_form(line).to_h[name]).force_encoding('UTF-8'))
      found["ruby #{decoder}"] = %w[user_id user_hash k].map { |k| d[k].nil? ? '' : d[k].is_a?(String) ? d[k].scrub('?') : d[k].to_json } if d.is_a?(Hash)
    rescue StandardError
      nil
    end
  end
  puts JSON.generate(found)
end
