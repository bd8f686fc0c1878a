<?php
// Router script for PHP's built-in server: answers what PHP read of the body.
function pairs(array $fields): array {
    $out = [];
    foreach ($fields as $k => $v) {
        $out[] = [base64_encode((string)$k), is_string($v) ? base64_encode($v) : null];
    }
    return $out;
}
// paths writes where each text stands, without the indexes of lists.
function paths(array $fields, string $above = ''): array {
    $out = [];
    foreach ($fields as $k => $v) {
        $path = $above . ($above !== '' && is_int($k) ? '' : "/$k");
        $out = array_merge($out, is_array($v) ? paths($v, $path) : [[base64_encode($path), base64_encode((string)$v)]]);
    }
    return $out;
}
if (isset($_GET['nested'])) {
    parse_str(file_get_contents('php://input'), $fields);
    $answer = ['php nested' => paths($fields)];
} elseif (isset($_GET['parse_str'])) {
    parse_str(file_get_contents('php://input'), $fields);
    $answer = ['php parse_str' => pairs($fields)];
} else {
    $files = array_map(fn($f) => null, $_FILES);
    $answer = ['php $_POST' => array_merge(pairs($_POST), pairs($files))];
}
header('Content-Type: application/json');
echo json_encode($answer);
