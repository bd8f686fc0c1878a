<?php // As texts.js.
error_reporting(0);
$decoders = ['v' => ['json' => fn($s) => $s], 'c' => [
    'base64' => fn($s) => base64_decode($s), 'strict' => fn($s) => base64_decode($s, true), 'url' => fn($s) => base64_decode(strtr($s, '-_', '+/')),
    'plus' => fn($s) => base64_decode(str_replace(' ', '+', $s))]];
foreach (array_slice(explode("\n", stream_get_contents(STDIN)), 0, -1) as $line) {
    $found = new stdClass;
    foreach ($decoders as $name => $of) foreach ($of as $decoder => $decode) {
        parse_str($line, $fields);
        if (!is_string($fields[$name] ?? null)) continue;
        $d = json_decode($decode($fields[$name]), true);
        if (!is_array($d)) continue;
        $found->{"php $decoder"} = array_map(fn($k) => isset($d[$k]) ? (is_string($d[$k]) ? $d[$k] : json_encode($d[$k], JSON_UNESCAPED_UNICODE)) : '', ['user_id', 'user_hash', 'k']);
    }
    echo json_encode($found, JSON_INVALID_UTF8_SUBSTITUTE | JSON_UNESCAPED_UNICODE), "\n";
}
