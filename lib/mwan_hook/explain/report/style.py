"""The style sheet of the page: one accent, figures below each other, light and dark, narrow and printed.

Colours of verdicts differ in lightness, too, and their bands in height, so that no two need colour to be told apart;
letters have at least the contrast of WCAG's AA.
"""

from __future__ import annotations

_LIGHT = """
  --page: #ffffff; --ink: #1a1d21; --quiet: #5a626c; --line: #e3e6ea; --faint: #f5f6f8;
  --accent: #1d5f9e; --online: #9cc0e0; --degraded: #c98a00; --offline: #a5180e; --disabled: #8b939d;
  --standby: #c3c9d0; --hatch: #a8afb8; --spread: #cfe0f0; --sent: #8fb3d6;
"""
_DARK = """
  --page: #14171a; --ink: #e7eaed; --quiet: #9aa4af; --line: #2c3238; --faint: #1b1f23;
  --accent: #79b8f3; --online: #37648c; --degraded: #e3ad3b; --offline: #ff7d70; --disabled: #8b949e;
  --standby: #4a525b; --hatch: #59626c; --spread: #24425d; --sent: #416d95;
"""
CSS = (
    ":root { color-scheme: light dark;"
    + _LIGHT
    + "}\n@media (prefers-color-scheme: dark) { :root {"
    + _DARK
    + "} }\n"
    + """
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; text-size-adjust: 100%; }
body {
  margin: 0 auto; padding: 2.5rem 2rem 3rem; max-width: 72rem; background: var(--page); color: var(--ink);
  font: 0.9375rem/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", "DejaVu Sans", sans-serif;
  font-variant-numeric: tabular-nums; overflow-wrap: anywhere;
}
h1 { margin: 0; font-size: 1.75rem; font-weight: 600; letter-spacing: -0.01em; line-height: 1.2; }
h2 { margin: 3rem 0 0.75rem; font-size: 1.125rem; font-weight: 600; }
h3 { margin: 0 0 0.75rem; font-size: 1rem; font-weight: 600; }
h3 small, figcaption, .quiet, header p, footer { color: var(--quiet); font-weight: 400; font-size: 0.875rem; }
header { margin-bottom: 2rem; } header p { margin: 0.375rem 0 0; }
p { max-width: 46rem; margin: 0.5rem 0; }
time { white-space: nowrap; }
table { width: 100%; border-collapse: collapse; }
caption { text-align: left; }
th, td { padding: 0.5rem 0.875rem 0.5rem 0; text-align: right; vertical-align: baseline; white-space: nowrap; }
th:last-child, td:last-child { padding-right: 0; }
thead th { color: var(--quiet); font-weight: 400; font-size: 0.8125rem; border-bottom: 1px solid var(--line); }
tbody tr + tr > * { border-top: 1px solid var(--line); }
tbody th { font-weight: 600; white-space: normal; min-width: 7rem; }
th:first-child, td:first-child, .text { text-align: left; }
.text { white-space: normal; }
tbody th small { font-weight: 400; color: var(--quiet); font-size: inherit; }
.key { display: none; }
.headline tbody td.big { font-size: 1.25rem; font-weight: 600; color: var(--accent); }
.headline tr.same > * { border-top: 0; padding-top: 0; }
.reason { display: block; color: var(--quiet); font-size: 0.8125rem; }
.mark { display: inline-block; width: 0.625rem; height: 0.625rem; margin-right: 0.5rem; border-radius: 2px; }
.mark.offline { background: var(--offline); } .mark.degraded { background: var(--degraded); }
.mark.disabled { background: var(--disabled); }
figure { margin: 0; }
svg { display: block; max-width: 100%; }
.defs { position: absolute; }
.timeline { display: grid; grid-template-columns: max-content minmax(0, 1fr); gap: 0.375rem 1.25rem; }
.timeline { align-items: center; } .timeline .name { font-weight: 600; padding-top: 0.25rem; }
.timeline .name small { font-weight: 400; color: var(--quiet); font-size: inherit; }
.timeline .axis { grid-column: 2; }
.legend { display: flex; flex-wrap: wrap; gap: 0.25rem 1.25rem; margin: 0.75rem 0 0; padding: 0; list-style: none; }
.legend li { display: flex; align-items: center; gap: 0.5rem; color: var(--quiet); font-size: 0.8125rem; }
.band .online, .key-online { fill: var(--online); }
.band .degraded, .key-degraded { fill: var(--degraded); stroke: var(--degraded); stroke-width: 1; }
.band .offline, .key-offline { fill: var(--offline); stroke: var(--offline); stroke-width: 1.5; }
.band .disabled, .key-disabled { fill: var(--disabled); }
.band .standby, .key-standby { fill: var(--standby); }
.band .unknown, .key-unknown { fill: url(#hatch); }
.hatch-ground { fill: var(--faint); } .hatch-line { stroke: var(--hatch); stroke-width: 2.5; }
.plots { display: grid; grid-template-columns: repeat(2, minmax(0, 1fr)); gap: 1.5rem 2.5rem; }
.plots + h3 { margin-top: 2rem; }
figcaption { margin-bottom: 0.375rem; } figcaption b { color: var(--ink); font-weight: 600; }
.graph { display: grid; grid-template-columns: 3rem minmax(0, 1fr); gap: 0.5rem; align-content: start; }
.graph figcaption { grid-column: 1 / -1; margin: 0; } .graph .axis { grid-column: 2; margin-top: -0.25rem; }
.plot, .plot svg { overflow: hidden; }
.rule { stroke: var(--line); }
.scale { fill: var(--quiet); font-size: 11px; text-anchor: end; overflow: visible; }
.spread { fill: var(--spread); }
.median { fill: none; stroke: var(--accent); stroke-width: 1.5; vector-effect: non-scaling-stroke; }
.lost { fill: var(--offline); } .received { fill: var(--accent); fill-opacity: 0.75; } .sent { fill: var(--sent); }
.hit { fill: transparent; } .hit:hover { fill: var(--ink); fill-opacity: 0.08; }
.axis line { stroke: var(--hatch); } .axis text { fill: var(--quiet); font-size: 11px; text-anchor: middle; }
dl { display: grid; grid-template-columns: max-content minmax(0, 1fr); gap: 0.25rem 1.25rem; }
dl { margin: 0; max-width: 46rem; }
dt { font-weight: 600; } dd { margin: 0; color: var(--quiet); }
footer { margin-top: 3rem; padding-top: 1rem; border-top: 1px solid var(--line); }

@media (max-width: 68rem) {
  thead { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap; }
  table, tbody { display: block; }
  tbody tr { display: grid; grid-template-columns: repeat(auto-fill, minmax(6.25rem, 1fr)); gap: 0.375rem 0.75rem; }
  tbody tr { padding: 0.75rem 0; }
  tbody tr + tr { border-top: 1px solid var(--line); }
  tbody tr + tr > * { border-top: 0; }
  tbody th, tbody td { padding: 0; text-align: left; white-space: normal; }
  tbody th, tbody td.wide { grid-column: 1 / -1; }
  .headline tr.same > * { padding: 0; }
  .headline tbody th { grid-column: span 2; font-size: 1.0625rem; }
  .headline tbody td.big { white-space: nowrap; font-size: 1.125rem; }
  .outages tbody tr { grid-template-columns: repeat(auto-fill, minmax(9.5rem, 1fr)); font-size: 0.875rem; }
  .key { display: block; color: var(--quiet); font-size: 0.75rem; }
  .big .key { display: none; }
  td:empty { display: none; }
}
@media screen and (max-width: 50rem) {
  body { padding: 1.25rem 1rem 2rem; }
  h2 { margin-top: 2.25rem; }
  .timeline { grid-template-columns: minmax(0, 1fr); gap: 0.125rem; }
  .timeline .name:not(:first-child) { margin-top: 0.5rem; }
  .timeline .axis { grid-column: 1; }
  .plots { grid-template-columns: minmax(0, 1fr); }
  dl { grid-template-columns: minmax(0, 1fr); gap: 0; } dd { margin-bottom: 0.5rem; }
}
@media screen and (max-width: 30rem) { .headline tbody td.big { text-align: right; } }
@media print {
  :root { color-scheme: light;"""
    + _LIGHT
    + """ }
  @page { margin: 15mm; }
  body { padding: 0; max-width: none; font-size: 9pt; }
  * { -webkit-print-color-adjust: exact; print-color-adjust: exact; }
  tr, figure, .legend { break-inside: avoid; } h2, h3 { break-after: avoid; }
  .hit { display: none; }
}
"""
)
