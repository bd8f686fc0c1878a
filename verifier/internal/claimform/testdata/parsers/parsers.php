<?php
// Router script for PHP's built-in server: answers what PHP read of the body.
function pairs(array $fields): array {
    $out = [];
    foreach ($fields as $k => $v) {
        $out[] = [base64_encode((string)$k), is_string($v) ? base64_encode($v) : null];
    }
    return $out;
}
if (isset($_GET['parse_str'])) {
    parse_str(file_get_contents('php://input'), $fields);
    $answer = ['php parse_str' => pairs($fields)];
} else {
    $files = array_map(fn($f) => null, $_FILES);
    $answer = ['php $_POST' => array_merge(pairs($_POST), pairs($files))];
}
header('Content-Type: application/json');
echo json_encode($answer);
