<?php
// A chat backend that verifies for itself, and lets pages in that do not sign yet.
$claim = $_POST ?: json_decode(file_get_contents('php://input'), true) ?? [];
$user = $claim['user_id'] ?? '';
if (isset($claim['user_hash']) && !hash_equals(hash_hmac('sha256', $user, getenv('SECRET')), $claim['user_hash'])) {
    http_response_code(401);
    exit("refused\n");
}
echo "hello $user!\n";
