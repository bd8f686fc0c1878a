// A website puts this part into its own page: it queues commands until the widget
// has loaded.
window.chat = window.chat || function () { (window.chat.q = window.chat.q || []).push(arguments); };
