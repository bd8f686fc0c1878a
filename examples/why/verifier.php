<?php
// The server that forward_auth asks. It gets the request's headers, never its body.
error_log('asked');
$user = rawurldecode($_SERVER['HTTP_X_USER_ID'] ?? '');
if ($user === '' || !hash_equals(hash_hmac('sha256', $user, getenv('SECRET')), $_SERVER['HTTP_X_USER_HASH'] ?? '')) {
    http_response_code(401);
    exit("refused\n");
}
header('X-Verified-User: ' . rawurlencode($user));
