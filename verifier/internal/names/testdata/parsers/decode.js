// Has Node's own decoders read texts: JSON lines in, JSON lines out.
const querystring = require("querystring");
const readline = require("readline");
const vm = require("vm");

const strings = (value) =>
  typeof value === "string" ? [value]
    : value && typeof value === "object" ? Object.entries(value).flatMap(([k, v]) => [k, ...strings(v)]) : [];
const charset = (name) => (text) => [new TextDecoder(name, { fatal: true }).decode(text)];

const decoders = {
  "JSON.parse": (text) => strings(JSON.parse(text.toString())),
  "JSON.parse twice": (text) => strings(JSON.parse(text.toString())).flatMap((s) => { try { return strings(JSON.parse(s)); } catch { return []; } }),
  // What is lenient beyond JSON, as an object of JavaScript.
  "an object": (text) => strings(vm.runInNewContext("(" + text.toString() + ")", {}, { timeout: 1000 })),
  "querystring": (text) => strings(querystring.parse(text.toString())),
  "URLSearchParams": (text) => [...new URLSearchParams(text.toString())].flat(),
  "unescape": (text) => [unescape(text.toString())],
  "unescape, then JSON.parse": (text) => strings(JSON.parse(unescape(text.toString()))),
  "utf16le": (text) => [text.toString("utf16le")],
  "utf-16be": charset("utf-16be"),
  "windows-1252": charset("windows-1252"),
  "windows-1251": charset("windows-1251"),
};

async function formData(text) {
  const body = Buffer.concat([Buffer.from("--b\r\n"), text, Buffer.from("\r\n\r\nvalue\r\n--b--\r\n")]);
  const response = new Response(body, { headers: { "Content-Type": "multipart/form-data; boundary=b" } });
  return [...(await response.formData()).keys()];
}

(async () => {
  for await (const line of readline.createInterface({ input: process.stdin })) {
    const asked = JSON.parse(line);
    const text = Buffer.from(asked.text, "base64");
    const answer = {};
    for (const [name, decode] of Object.entries(asked.header ? { formData } : decoders)) {
      if (name === "an object" && !asked.object) continue;
      try {
        answer[name] = (await decode(text)).map((s) => Buffer.from(s).toString("base64"));
      } catch {}
    }
    process.stdout.write(JSON.stringify(answer) + "\n");
  }
})();
