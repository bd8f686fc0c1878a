# Has Ruby's own decoders read texts: JSON lines in, JSON lines out.
require "base64"
require "cgi"
require "json"
require "nkf"
require "uri"

def strings(value)
  case value
  when Hash then value.flat_map { |k, v| [k, *strings(v)] }
  when Array then value.flat_map { |v| strings(v) }
  when String then [value]
  else []
  end
end

utf8 = ->(text) { text.dup.force_encoding("UTF-8") }
decoders = {
  "JSON" => ->(text) { strings(JSON.parse(utf8[text])) },
  "JSON twice" => ->(text) { strings(JSON.parse(utf8[text])).flat_map { |s| strings(JSON.parse(s)) rescue [] } },
  "CGI.unescape" => ->(text) { [CGI.unescape(utf8[text])] },
  "decode_www_form" => ->(text) { URI.decode_www_form(utf8[text]).flatten },
  "decode_www_form, then JSON" => ->(text) { URI.decode_www_form(utf8[text]).flatten.flat_map { |s| strings(JSON.parse(s)) rescue [] } },
  "quoted-printable" => ->(text) { text.unpack("M") },
  "CGI.unescapeHTML" => ->(text) { [CGI.unescapeHTML(utf8[text])] },
}
%w[UTF-16LE UTF-16BE UTF-32LE UTF-32BE windows-1252].each do |charset|
  decoders[charset] = ->(text) { [text.dup.force_encoding(charset).encode("UTF-8")] }
  decoders["#{charset} JSON"] = ->(text) { strings(JSON.parse(text.dup.force_encoding(charset).encode("UTF-8"))) }
end
headers = {
  "nkf" => ->(text) { [NKF.nkf("-mW -w -x", text)] },
}

$stdin.each_line do |line|
  asked = JSON.parse(line)
  text = Base64.decode64(asked["text"])
  answer = {}
  (asked["header"] ? headers : decoders).each do |name, decode|
    found = decode[text] rescue next
    answer[name] = found.map { |s| Base64.strict_encode64(s) }
  end
  puts JSON.generate(answer)
  $stdout.flush
end
