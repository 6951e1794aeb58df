/** The skeleton of the status page. It holds no data: the script asks for it, and writes it as text. */
import { script } from "./script.js"
import { style } from "./style.js"

/** The page, in one document: what it loads from elsewhere is the figures, from where it came from. */
export const document = (nonce: string): string =>
  /* html */ `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex">
<title>Databases</title>
<link rel="icon" id="icon" href="data:,">
<style nonce="${nonce}">${style}</style>
</head>
<body>
<header class="head" id="head" data-link="waiting">
  <div>
    <h1>Databases</h1>
    <span class="status" id="overall" hidden></span>
    <span class="process" id="process"></span>
    <span class="link"><span class="beat" aria-hidden="true"></span><span id="link">connecting</span></span>
    <button type="button" id="pause" aria-pressed="false">Pause</button>
  </div>
</header>
<div class="lost" id="lost" hidden>
  <div>
    <strong>Not connected.</strong>
    <span id="lost-why"></span>
    <button type="button" id="again">Try now</button>
  </div>
</div>
<p class="aside" id="news" role="status" aria-live="polite"></p>
<main id="main">
  <div class="tabs" id="tabs" role="tablist" aria-label="Databases" hidden></div>
  <div id="databases"></div>
  <p class="empty" id="none">Asking for the first figures.</p>
  <noscript><p>This page needs JavaScript. The same figures are served as JSON, one path up.</p></noscript>
</main>
<footer>Statements are shown with placeholders, never with values. Durations are those of the last 1,024.</footer>
<script nonce="${nonce}">${script}</script>
</body>
</html>
`

/** What the page may do: nothing but its own style, its own script, and questions to where it came from. */
export const policy = (nonce: string): string =>
  [
    "default-src 'none'",
    `style-src 'nonce-${nonce}'`,
    `script-src 'nonce-${nonce}'`,
    "connect-src 'self'",
    "img-src data:",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'"
  ].join("; ")
