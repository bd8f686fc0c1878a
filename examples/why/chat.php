<?php
// The chat backend behind every gateway of this folder: it says whom it takes a request to be from.
$claim = $_POST ?: json_decode(file_get_contents('php://input'), true) ?? [];
$who = fn ($user) => $user === '' ? '(empty)' : $user ?? 'nobody';
printf("header: %s, body: %s\n", $who($_SERVER['HTTP_X_VERIFIED_USER'] ?? null), $who($claim['user_id'] ?? null));
