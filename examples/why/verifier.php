<?php
// The server that forward_auth asks, with the request's body in a header.
$claim = json_decode(base64_decode($_SERVER['HTTP_X_BODY'] ?? ''), true);
$claim = is_array($claim) ? $claim : [];
foreach (array_keys($claim) as $name) {
    if ($name !== 'user_id' && strtolower($name) === 'user_id') {
        http_response_code(400);
        exit("refused: Go takes another spelling for the same name\n");
    }
}
$user = $claim['user_id'] ?? '';
$user = is_int($user) ? "$user" : $user;
$hash = $claim['user_hash'] ?? '';
if (is_string($user) && $user !== '' && is_string($hash)) {
    foreach ([getenv('SECRET'), getenv('OLD_SECRET')] as $secret) {
        if (hash_equals(hash_hmac('sha256', $user, $secret), strtolower($hash))) {
            header('X-Verified-User: ' . rawurlencode($user));
            exit;
        }
    }
}
http_response_code(401);
exit("refused\n");
