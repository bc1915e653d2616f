"""The page's style: print-like tables, one column, legible at any width."""

STYLE = """
:root { --ink: #1b2430; --soft: #566272; --line: #d9dfe6; --tint: #f1f6fb; --right: #1a7f4f; --wrong: #b3372f;
  --accent: #1f5fbf; }
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; }
body { margin: 0; color: var(--ink); background: #fff;
  font: 15px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif; }
main { max-width: 1080px; margin: 0 auto; padding: 40px 28px 72px; }
h1 { font-size: 27px; line-height: 1.2; letter-spacing: -.015em; margin: 0 0 6px; }
h2 { font-size: 20px; letter-spacing: -.01em; margin: 52px 0 12px; padding-top: 14px;
  border-top: 1px solid var(--line); }
h3 { font-size: 15.5px; margin: 30px 0 8px; }
h4 { font-size: 13px; margin: 18px 0 8px; color: var(--soft); font-weight: 600; }
p { margin: 0 0 10px; max-width: 74ch; }
.lead, .notes, .legend { color: var(--soft); }
nav { display: flex; flex-wrap: wrap; gap: 4px 18px; margin: 14px 0 0; font-size: 14px; }
a { color: var(--accent); text-decoration: none; } a:hover { text-decoration: underline; }
.scroll { overflow-x: auto; margin: 0 0 8px; position: relative; }
table { border-collapse: collapse; font-size: 14px; font-variant-numeric: tabular-nums; min-width: 62%;
  border-top: 2px solid var(--ink); border-bottom: 2px solid var(--ink); }
th, td { padding: 5px 12px; text-align: right; white-space: nowrap; font-weight: 400; }
th { font-weight: 600; } thead th { vertical-align: bottom; }
th:first-child, td:first-child { text-align: left; padding-left: 8px; position: sticky; left: 0; background: #fff; }
thead tr.groups th { text-align: center; padding-bottom: 2px; }
thead tr.groups th[colspan]:not(.bare) {
  background: linear-gradient(var(--line), var(--line)) bottom / calc(100% - 12px) 1px no-repeat; }
thead tr:last-child th { border-bottom: 1px solid var(--ink); }
tbody tr.ours:not(.source) > * { background: var(--tint); }
tbody tr.source th { font-size: 12.5px; color: var(--soft); padding-top: 9px; padding-bottom: 2px; }
tbody tr.source.ours > * { border-top: 1px solid var(--line); }
tbody tr.first > * { border-top: 1px solid var(--line); }
tbody tr.frame td, tbody tr.frame:not(.first) { color: var(--soft); }
tbody th { font-weight: 400; } tbody th b, tbody tr.source th { font-weight: 600; }
th.word, td.word { text-align: left; } thead th.word { text-align: left; }
.detail { color: var(--soft); font-size: 13px; margin-left: 8px; }
td sup { position: absolute; font-size: 11px; line-height: 1; margin-top: 1px; }
table.wide { font-size: 13px; } table.wide th, table.wide td { padding-left: 7px; padding-right: 7px; }
table.wide .detail { display: block; margin: 0; }
.best { font-weight: 700; }
.notes { font-size: 13.5px; margin: 6px 0 0; padding-left: 18px; max-width: 82ch; }
.charts { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 420px), 1fr)); gap: 24px 40px; }
.charts.whole { grid-template-columns: minmax(0, 1fr); }
.charts.small { grid-template-columns: repeat(auto-fill, minmax(min(100%, 320px), 1fr)); }
.charts figure { margin: 0; min-width: 0; } .charts figcaption { font-size: 13.5px; font-weight: 600; margin: 0 0 6px; }
.charts .scroll { margin: 0; }
svg { max-width: 100%; height: auto; display: block; font-family: inherit; }
svg .grid { stroke: var(--line); } svg .none { fill: #f5f7f9; }
svg .tick { font-size: 12px; fill: var(--soft); } svg .name { font-size: 12.5px; font-weight: 600; }
svg .cell { font-size: 12px; fill: var(--ink); text-anchor: middle; }
.plot { width: 100%; min-width: 760px; display: block; }
svg .mid { text-anchor: middle; } svg .end { text-anchor: end; }
.row { display: grid; grid-template-columns: 128px minmax(0, 1fr); gap: 14px; padding: 10px 0;
  border-top: 1px solid var(--line); align-items: start; }
.row figure { margin: 0; } figcaption { font-size: 12px; color: var(--soft); }
.asked img { display: block; border: 2px solid var(--ink); border-radius: 3px; }
.asked q { display: -webkit-box; -webkit-line-clamp: 7; -webkit-box-orient: vertical; overflow: hidden;
  font-size: 12.5px; line-height: 1.4; }
.asked figcaption { margin-top: 3px; }
.places { display: flex; flex-wrap: wrap; gap: 8px; }
.places figure { position: relative; width: 70px; }
.places img, .gone { display: block; width: 70px; height: 134px; object-fit: cover;
  border: 3px solid; border-radius: 4px; }
.gone { background: #f5f7f9; }
.right img, .right .gone { border-color: var(--right); }
.wrong img, .wrong .gone { border-color: var(--wrong); border-style: dashed; }
.mark { position: absolute; top: 0; right: 0; width: 20px; height: 20px; color: #fff;
  font: 700 12px/20px system-ui, sans-serif;
  text-align: center; border-radius: 0 4px 0 4px; }
.right .mark { background: var(--right); } .wrong .mark { background: var(--wrong); }
.places figcaption { text-align: center; }
@media (max-width: 600px) {
  main { padding: 24px 16px 48px; } h1 { font-size: 22px; } h2 { margin-top: 40px; }
  th, td { padding: 5px 9px; } table { font-size: 13px; }
  .detail { display: block; margin-left: 0; } .row { grid-template-columns: minmax(0, 1fr); gap: 8px; }
  .asked { display: flex; gap: 10px; align-items: flex-end; } .asked q { -webkit-line-clamp: 4; }
  .asked:has(q) figcaption { white-space: nowrap; }
  tbody th { white-space: normal; min-width: 112px; } tbody tr.source th { white-space: normal; }
  .places { flex-wrap: nowrap; overflow-x: auto; padding-bottom: 4px; } .places figure { flex: none; }
}
@media print {
  main { max-width: none; padding: 0; } nav { display: none; } .scroll { overflow: visible; }
  table, .row, .charts.whole { grid-template-columns: minmax(0, 1fr); }
.charts.small { grid-template-columns: repeat(auto-fill, minmax(min(100%, 320px), 1fr)); }
.charts figure { break-inside: avoid; } h2, h3, h4 { break-after: avoid; }
  * { print-color-adjust: exact; -webkit-print-color-adjust: exact; }
}
"""
