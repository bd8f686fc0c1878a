// The part that a website puts into its own page: commands given before the
// widget has loaded wait here.
window.chat = window.chat || function () { (window.chat.q = window.chat.q || []).push(arguments); };
