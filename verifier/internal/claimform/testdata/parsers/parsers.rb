# Reads form bodies with Ruby's own parsers: JSON lines in, JSON lines out.
require 'base64'
require 'cgi'
require 'json'
require 'stringio'
require 'uri'

def pair(name, value)
  [Base64.strict_encode64(name.b), value.nil? ? nil : Base64.strict_encode64(value.b)]
end

def cgi_multipart(body, boundary)
  ENV['REQUEST_METHOD'] = 'POST'
  ENV['CONTENT_TYPE'] = "multipart/form-data; boundary=\"#{boundary}\""
  ENV['CONTENT_LENGTH'] = body.bytesize.to_s
  $stdin = StringIO.new(body)
  cgi = CGI.new(accept_charset: 'UTF-8')
  cgi.params.flat_map { |k, vs| vs.map { |v| pair(k, v.is_a?(String) && !cgi.files.key?(k) ? v : nil) } }
end

PARSERS = {
  'form' => {
    'decode_www_form' => ->(body, _) { URI.decode_www_form(body.dup.force_encoding('UTF-8')).map { |k, v| pair(k, v) } },
    'CGI.parse' => ->(body, _) { CGI.parse(body.dup.force_encoding('UTF-8')).flat_map { |k, vs| vs.map { |v| pair(k, v) } } },
  },
  'multipart' => { 'CGI' => method(:cgi_multipart) },
}

while (line = STDIN.gets)
  request = JSON.parse(line)
  answer = {}
  PARSERS[request['kind']].each do |name, parse|
    answer["ruby #{name}"] = begin
      parse.call(Base64.decode64(request['body']), request['boundary'])
    rescue StandardError, CGI::InvalidEncoding
      nil
    end
  end
  STDOUT.puts(JSON.generate(answer))
  STDOUT.flush
end
