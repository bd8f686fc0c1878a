<?php
// Router script for PHP's built-in server: answers what PHP reads as the cookie "v".
$value = $_COOKIE['v'] ?? '';
echo is_string($value) ? $value : 'array';
