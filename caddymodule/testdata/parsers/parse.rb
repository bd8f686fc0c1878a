# Reads bodies and queries with Ruby's own parsers. The protocol is parse.py's.
require 'base64'
require 'cgi'
require 'json'
require 'stringio'
require 'uri'

def told(value)
  case value
  when nil, '' then []
  when String then ['s' + Base64.strict_encode64(value.b)]
  when Integer then ["i#{value}"]
  else ["x#{value.inspect}"]
  end
end

def at(document, paths)
  paths.flat_map { |path| told(path.reduce(document) { |value, name| value.is_a?(Hash) ? value[name] : nil }) }
end

def named(fields, names)
  fields.flat_map { |name, value| names.include?(name) ? told(value) : [] }
end

def utf8(body) = body.dup.force_encoding('UTF-8')

def cgi(question)
  ENV['REQUEST_METHOD'] = 'POST'
  ENV['CONTENT_TYPE'] = question['type']
  ENV['CONTENT_LENGTH'] = question['body'].bytesize.to_s
  $stdin = StringIO.new(question['body'])
  read = CGI.new(accept_charset: 'UTF-8')
  named(read.params.flat_map { |name, values| values.map { |v| [name, v.is_a?(String) && !read.files.key?(name) ? v : [:file]] } },
        question['names'])
end

JSONS = {
  'JSON.parse' => ->(q) { at(JSON.parse(utf8(q['body'])), q['paths']) },
  'JSON.parse of bytes' => ->(q) { at(JSON.parse(q['body']), q['paths']) },
}
PAIRS = {
  'decode_www_form' => ->(q) { named(URI.decode_www_form(utf8(q['body'])), q['names']) },
  'CGI.parse' => ->(q) { named(CGI.parse(utf8(q['body'])).flat_map { |k, vs| vs.map { |v| [k, v] } }, q['names']) },
}
PARSERS = {
  'query' => PAIRS, '' => JSONS, 'form' => JSONS.merge(PAIRS).merge('CGI' => method(:cgi)),
  'multipart' => JSONS.merge('CGI' => method(:cgi)),
}

while (line = STDIN.gets)
  question = JSON.parse(line)
  question['body'] = Base64.decode64(question['body'])
  answer = {}
  PARSERS[question['kind']].each do |name, parse|
    answer["ruby #{name}"] = begin
      parse.call(question)
    rescue StandardError, CGI::InvalidEncoding, SystemStackError
      nil
    end
  end
  STDOUT.puts(JSON.generate(answer))
  STDOUT.flush
end
