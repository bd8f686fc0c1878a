package caddymodule

import (
	"crypto/x509"
	"encoding/pem"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// foreignSigners sign tokens with what their languages bring along. Arguments: the
// algorithm, the secret's text or the file of a private key, the user id and exp.
var foreignSigners = map[string]struct {
	command    []string
	file, text string
	algorithms []string
}{
	"node": {[]string{"node"}, "sign.js", `
const crypto = require('crypto'), fs = require('fs')
const [algorithm, key, sub, exp] = process.argv.slice(2)
const part = (value) => Buffer.from(JSON.stringify(value)).toString('base64url')
const text = part({ alg: algorithm, typ: 'JWT' }) + '.' + part({ sub, name: 'Zoë "/" \u2028 😀', exp: Number(exp) })
const hash = 'sha' + algorithm.slice(2)
let signature
if (algorithm.startsWith('HS')) signature = crypto.createHmac(hash, key).update(text).digest()
else {
  const k = { key: fs.readFileSync(key), dsaEncoding: 'ieee-p1363' }
  if (algorithm.startsWith('PS')) Object.assign(k, { padding: crypto.constants.RSA_PKCS1_PSS_PADDING, saltLength: crypto.constants.RSA_PSS_SALTLEN_DIGEST })
  signature = crypto.sign(algorithm === 'EdDSA' ? null : hash, Buffer.from(text), k)
}
console.log(text + '.' + signature.toString('base64url'))
`, allAlgorithms},
	"PHP": {[]string{"php"}, "sign.php", `<?php
[, $algorithm, $key, $sub, $exp] = $argv;
$part = fn($text) => rtrim(strtr(base64_encode($text), '+/', '-_'), '=');
$text = $part(json_encode(['alg' => $algorithm, 'typ' => 'JWT'])) . '.' . $part(json_encode(['sub' => $sub, 'name' => 'Zoë "/" 😀', 'exp' => (int)$exp]));
$hash = 'sha' . substr($algorithm, 2);
if ($algorithm[0] === 'H') $signature = hash_hmac($hash, $text, $key, true);
else openssl_sign($text, $signature, file_get_contents($key), $hash);
echo $text . '.' . $part($signature);
`, []string{"HS256", "HS384", "HS512", "RS256", "RS384", "RS512"}},
	"Python": {[]string{"python3"}, "sign.py", `
import base64, hashlib, hmac, json, sys
_, algorithm, key, sub, exp = sys.argv
part = lambda value: base64.urlsafe_b64encode(value).rstrip(b'=')
text = part(json.dumps({'alg': algorithm, 'typ': 'JWT'}).encode()) + b'.' + part(json.dumps({'sub': sub, 'name': 'Zoë "/" 😀', 'exp': int(exp)}, indent=2).encode())
print((text + b'.' + part(hmac.new(key.encode(), text, 'sha' + algorithm[2:]).digest())).decode())
`, []string{"HS256", "HS384", "HS512"}},
	"Ruby": {[]string{"ruby", "-Ku"}, "sign.rb", `
require 'base64'
require 'json'
require 'openssl'
algorithm, key, sub, exp = ARGV
part = ->(text) { Base64.urlsafe_encode64(text, padding: false) }
text = part.(JSON.generate(alg: algorithm, typ: 'JWT')) + '.' + part.(JSON.pretty_generate(sub: sub, name: 'Zoë "/" 😀', exp: exp.to_i))
hash = 'SHA' + algorithm[2..]
signature = case algorithm
            when /HS/ then OpenSSL::HMAC.digest(hash, key, text)
            when /PS/ then OpenSSL::PKey.read(File.read(key)).sign_pss(hash, text, salt_length: :digest, mgf1_hash: hash)
            when /RS/ then OpenSSL::PKey.read(File.read(key)).sign(hash, text)
            end
puts text + '.' + part.(signature)
`, []string{"HS256", "HS384", "HS512", "RS256", "RS384", "RS512", "PS256", "PS384", "PS512"}},
}

// TestTokenForeign: what other languages sign with their standard libraries verifies.
func TestTokenForeign(t *testing.T) {
	c, dir := newCustomer(t), t.TempDir()
	g := start(t, "", c.site(t, ""))
	keys := make(map[string]string)
	for _, algorithm := range allAlgorithms {
		keys[algorithm] = longSecret
		if signer := c.signer(algorithm); signer != nil {
			der, err := x509.MarshalPKCS8PrivateKey(signer)
			must(t, err)
			keys[algorithm] = filepath.Join(dir, algorithm+".pem")
			must(t, os.WriteFile(keys[algorithm], pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), 0o600))
		}
	}
	for language, signer := range foreignSigners {
		file := filepath.Join(dir, signer.file)
		must(t, os.WriteFile(file, []byte(signer.text), 0o600))
		for _, algorithm := range signer.algorithms {
			for id, want := range map[string]string{"ada": "ada", "zoë/🙂~+": "zo%C3%AB%2F%F0%9F%99%82~%2B"} {
				args := append(signer.command[1:len(signer.command):len(signer.command)], file, algorithm, keys[algorithm], id, strconv.FormatInt(inAnHour(), 10))
				out, err := exec.Command(signer.command[0], args...).CombinedOutput()
				if err != nil {
					t.Fatalf("%s, %s: %v\n%s", language, algorithm, err, out)
				}
				equal(t, g.found(t, algorithm, strings.TrimSpace(string(out))), want, "%s, %s", language, algorithm)
			}
		}
	}
}
