/** How the status page looks: one column on a phone, two on a desk, by day and by night. Every text colour is AA. */
export const style = /* css */ String.raw`
:root {
  color-scheme: light dark;
  --page: #f4f5f7;
  --surface: #ffffff;
  --sunken: #eef0f3;
  --line: #dce0e6;
  --edge: #a9b1bc;
  --text: #12161c;
  --muted: #56606d;
  --used: #1463c4;
  --idle: #86b6ec;
  --waiting: #c0410d;
  --healthy: #0d7049;
  --healthy-soft: #e0f3ea;
  --degraded: #855400;
  --degraded-soft: #fdf0d5;
  --unhealthy: #b3231b;
  --unhealthy-soft: #fce6e4;
  --focus: #1463c4;
  --sans: ui-sans-serif, system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", sans-serif;
  --mono: ui-monospace, "SF Mono", SFMono-Regular, Menlo, Consolas, "Liberation Mono", monospace;
}

@media (prefers-color-scheme: dark) {
  :root {
    --page: #0d1015;
    --surface: #151a21;
    --sunken: #1d232c;
    --line: #2a323d;
    --edge: #566272;
    --text: #e9edf2;
    --muted: #9ba7b5;
    --used: #58a6ff;
    --idle: #2b5f9c;
    --waiting: #ff9157;
    --healthy: #54ca91;
    --healthy-soft: #12301f;
    --degraded: #e8b95b;
    --degraded-soft: #35280d;
    --unhealthy: #ff8a80;
    --unhealthy-soft: #3d1715;
    --focus: #8cc2ff;
  }
}

*, *::before, *::after { box-sizing: border-box; }

html { -webkit-text-size-adjust: 100%; }

body {
  margin: 0;
  background: var(--page);
  color: var(--text);
  font: 15px/1.5 var(--sans);
  font-variant-numeric: tabular-nums;
}

[hidden] { display: none !important; }

.aside {
  position: absolute;
  width: 1px;
  height: 1px;
  margin: -1px;
  overflow: hidden;
  clip-path: inset(50%);
  white-space: nowrap;
}

:focus { outline: none; }
:focus-visible { outline: 2px solid var(--focus); outline-offset: 2px; }

h1, h2, h3, p, dl, dd { margin: 0; }

code, pre { font: 13px/1.5 var(--mono); }

button {
  font: inherit;
  color: inherit;
  border: 1px solid var(--line);
  border-radius: 8px;
  background: var(--surface);
  padding: 5px 12px;
  min-height: 34px;
  cursor: pointer;
}
button:hover { border-color: var(--muted); }

/* -- the head ------------------------------------------------------------- */

.head {
  position: sticky;
  top: 0;
  z-index: 1;
  border-bottom: 1px solid var(--line);
  background: var(--surface);
}
.head > div {
  display: flex;
  flex-wrap: wrap;
  align-items: center;
  gap: 8px 16px;
  max-width: 1180px;
  margin: 0 auto;
  padding: 10px 20px;
}
.head h1 { font-size: 16px; font-weight: 650; letter-spacing: -0.01em; }
.head .process { color: var(--muted); font-size: 13px; }
.head .link { display: flex; align-items: center; gap: 8px; margin-left: auto; color: var(--muted); font-size: 13px; }
.head .beat { width: 8px; height: 8px; border-radius: 50%; background: var(--healthy); }
.head[data-link="paused"] .beat { background: var(--muted); }
.head[data-link="lost"] .beat { background: var(--unhealthy); }
.head[data-link="waiting"] .beat { background: var(--degraded); }

.lost {
  background: var(--unhealthy-soft);
  border-bottom: 1px solid var(--line);
  color: var(--unhealthy);
}
.lost > div {
  display: flex;
  flex-wrap: wrap;
  align-items: center;
  gap: 6px 14px;
  max-width: 1180px;
  margin: 0 auto;
  padding: 8px 20px;
}
.lost strong { font-weight: 650; }
.lost button { margin-left: auto; border-color: currentColor; background: transparent; color: inherit; }

main { max-width: 1180px; margin: 0 auto; padding: 20px; }
main[data-stale] .database { opacity: 0.55; }

/* -- a status ------------------------------------------------------------- */

.status {
  display: inline-flex;
  align-items: center;
  gap: 6px;
  border-radius: 999px;
  padding: 2px 10px 2px 8px;
  font-size: 13px;
  font-weight: 600;
  white-space: nowrap;
}
.status::before { content: "\25CF"; font-size: 10px; }
.status[data-status="degraded"]::before { content: "\25B2"; }
.status[data-status="unhealthy"]::before { content: "\25A0"; }
.status[data-status="healthy"] { color: var(--healthy); background: var(--healthy-soft); }
.status[data-status="degraded"] { color: var(--degraded); background: var(--degraded-soft); }
.status[data-status="unhealthy"] { color: var(--unhealthy); background: var(--unhealthy-soft); }

/* -- the databases to choose from ----------------------------------------- */

.tabs { display: flex; gap: 10px; margin: -4px -4px 16px; padding: 4px; overflow-x: auto; scrollbar-width: thin; }
.tab {
  display: grid;
  grid-template-columns: 1fr auto;
  gap: 2px 14px;
  align-items: center;
  flex: 0 0 auto;
  min-width: 190px;
  padding: 9px 14px;
  border-radius: 10px;
  text-align: left;
}
.tab b { font-weight: 600; overflow-wrap: anywhere; }
.tab .figures { grid-column: 1 / -1; color: var(--muted); font-size: 13px; }
.tab[aria-selected="true"] { border-color: var(--used); box-shadow: inset 0 0 0 1px var(--used); }

/* -- one database --------------------------------------------------------- */

.title { display: flex; flex-wrap: wrap; align-items: center; gap: 4px 12px; margin-bottom: 4px; }
.title h2 { font-size: 24px; font-weight: 650; letter-spacing: -0.02em; line-height: 1.25; overflow-wrap: anywhere; }
.facts { color: var(--muted); font-size: 13px; overflow-wrap: anywhere; }
.why { margin-top: 10px; padding: 8px 12px; border-radius: 8px; overflow-wrap: anywhere; }
.why[data-status="degraded"] { color: var(--degraded); background: var(--degraded-soft); }
.why[data-status="unhealthy"] { color: var(--unhealthy); background: var(--unhealthy-soft); }

.grid { display: grid; grid-template-columns: minmax(0, 1fr); gap: 16px; margin-top: 16px; }
.pool { display: flex; flex-direction: column; }
.pool .over-time { display: flex; flex-direction: column; flex: 1 1 auto; }
.panel { min-width: 0; border: 1px solid var(--line); border-radius: 12px; background: var(--surface); padding: 16px 18px 18px; }
.panel h3 { font-size: 14px; font-weight: 650; margin-bottom: 12px; }
.panel .note { color: var(--muted); font-size: 13px; font-weight: 400; }
.empty { color: var(--muted); }

/* -- figures -------------------------------------------------------------- */

.figures-row { display: grid; grid-template-columns: repeat(2, minmax(0, 1fr)); gap: 14px 18px; }
.figures-row > div { min-width: 0; display: flex; flex-direction: column-reverse; justify-content: flex-end; }
.figures-row dt { color: var(--muted); font-size: 13px; }
.figures-row dd { font-size: 22px; font-weight: 600; letter-spacing: -0.01em; line-height: 1.25; }
.figures-row dd small { font-size: 13px; font-weight: 400; letter-spacing: 0; color: var(--muted); }
.figures-row .alarm dd { color: var(--unhealthy); }

/* -- the pool ------------------------------------------------------------- */

.meter { display: grid; gap: 4px; }
.meter i { height: 28px; border-radius: 5px; border: 1px dashed var(--edge); }
.meter i[data-is="used"] { border: 0; background: var(--used); }
.meter i[data-is="idle"] { border: 0; background: var(--idle); }
.meter i[data-is="busy"] { border: 1px solid var(--used); }
.meter.many { display: flex; gap: 0; border-radius: 6px; overflow: hidden; background: var(--sunken); }
.meter.many i { flex: 0 1 0; border: 0; border-radius: 0; }

.legend { display: flex; flex-wrap: wrap; gap: 4px 18px; margin-top: 12px; font-size: 13px; color: var(--muted); }
.legend b { color: var(--text); font-weight: 600; }
.legend span { display: inline-flex; align-items: center; gap: 6px; }
.legend span::before { content: ""; width: 10px; height: 10px; border-radius: 3px; border: 1px dashed var(--muted); }
.legend .used::before { border: 0; background: var(--used); }
.legend .idle::before { border: 0; background: var(--idle); }
.legend .waiting::before { border: 0; background: var(--waiting); }
.legend .waiting.some b { color: var(--waiting); }

.chart { position: relative; flex: 1 1 auto; min-height: 130px; margin-top: 34px; }
.chart svg { position: absolute; inset: 0; width: 100%; height: 100%; overflow: visible; }
.chart path { shape-rendering: crispEdges; }
.chart .open { fill: var(--idle); }
.chart .used { fill: var(--used); }
.chart .waiting { fill: var(--waiting); }
.chart .limit { stroke: var(--muted); stroke-width: 1; stroke-dasharray: 3 4; vector-effect: non-scaling-stroke; }
.chart .floor { stroke: var(--line); stroke-width: 1; vector-effect: non-scaling-stroke; }
.chart .top { position: absolute; left: 0; transform: translateY(-100%); font-size: 12px; color: var(--muted); }
.axis { display: flex; justify-content: space-between; margin-top: 4px; font-size: 12px; color: var(--muted); }

/* -- tables --------------------------------------------------------------- */

.scroll { overflow-x: auto; margin: 0 -18px; padding: 0 18px; }
table { width: 100%; border-collapse: collapse; font-size: 14px; }
th { text-align: left; font-weight: 500; font-size: 13px; color: var(--muted); padding: 0 14px 6px 0; white-space: nowrap; }
td { padding: 8px 14px 8px 0; border-top: 1px solid var(--line); vertical-align: top; }
tbody th { padding: 8px 14px 8px 0; border-top: 1px solid var(--line); color: var(--text); font-size: 14px; }
th:last-child, td:last-child { padding-right: 0; }
.number { text-align: right; white-space: nowrap; }
td code { overflow-wrap: anywhere; }
td .who { font-weight: 600; overflow-wrap: anywhere; }
td .sub { display: block; color: var(--muted); font-size: 13px; }
td.old { color: var(--waiting); font-weight: 600; }
.wide { width: 64%; min-width: 220px; }
.more { margin-top: 12px; }

/* Percentiles on a logarithmic scale: a band from the median to the 99th, marks at the median and the 95th. */
.range { position: relative; display: block; height: 8px; min-width: 90px; margin-top: 7px; border-radius: 4px; background: var(--sunken); }
.range i { position: absolute; top: 0; height: 8px; border-radius: 4px; background: var(--idle); }
.range u { position: absolute; top: -2px; width: 3px; height: 12px; margin-left: -1px; border-radius: 2px; background: var(--used); }
.scale { display: flex; justify-content: space-between; gap: 8px; font-size: 12px; font-weight: 400; }
.durations td:last-child, .durations thead th:last-child { width: 32%; }

/* -- failures ------------------------------------------------------------- */

.bars { list-style: none; margin: 0; padding: 0; display: grid; gap: 12px; }
.bars li { display: grid; grid-template-columns: minmax(0, 1fr) auto; gap: 2px 12px; }
.bars span { overflow-wrap: anywhere; }
.bars b { font-weight: 600; }
.bars i { grid-column: 1 / -1; height: 6px; border-radius: 3px; background: var(--unhealthy); min-width: 6px; }

footer { max-width: 1180px; margin: 0 auto; padding: 0 20px 32px; color: var(--muted); font-size: 13px; }

@media (min-width: 760px) {
  .figures-row { grid-template-columns: repeat(auto-fit, minmax(120px, 1fr)); }
  .grid { grid-template-columns: repeat(2, minmax(0, 1fr)); gap: 18px; }
  .panel.whole { grid-column: 1 / -1; }
  .panel.pool { grid-row: span 2; }
}

/* On a phone a row of a table is a block: a statement needs the whole width. */
@media (max-width: 620px) {
  main { padding: 16px 12px; }
  .head > div, .lost > div, footer { padding-left: 12px; padding-right: 12px; }
  .head .process { order: 2; }
  .head .link { order: 3; }
  .head button { margin-left: auto; }
  .head .process::before { content: ""; display: block; }
  table.stacked thead { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }
  table.stacked tr { display: grid; grid-template-columns: minmax(0, 1fr) auto; padding: 10px 0; border-top: 1px solid var(--line); }
  table.stacked tbody tr:first-child { border-top: 0; padding-top: 0; }
  table.stacked td, table.stacked th { border: 0; padding: 0; }
  table.stacked .wide { grid-column: 1 / -1; width: auto; min-width: 0; padding-top: 4px; }
  .durations td, .durations th { white-space: normal; }
  .durations table.stacked tr { grid-template-columns: repeat(4, minmax(0, 1fr)); gap: 0 10px; }
  .durations table.stacked th { grid-column: 1 / -1; padding-bottom: 2px; }
  .durations table.stacked td { text-align: left; width: auto; }
  .durations table.stacked td:last-child { grid-column: 1 / -1; width: auto; }
  .durations td[data-what]::before { content: attr(data-what); display: block; font-size: 12px; color: var(--muted); }
}

@media (prefers-reduced-motion: no-preference) {
  .meter i { transition: background-color 200ms; }
  main { transition: opacity 200ms; }
}

@media (forced-colors: active) {
  .meter i[data-is="used"], .chart .used { forced-color-adjust: none; }
}
`
