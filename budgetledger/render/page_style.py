"""The style of the page: light and dark, on a phone and in print, without anything from outside."""

STYLE = """
:root { color-scheme: light dark; --paper: #fff; --ink: #1b1f24; --soft: #57606a; --line: #d0d7de;
  --rest: #eaeef2; --bad: #b42318; --near: #9a6700;
  --c0: #0b6bcb; --c1: #d9730d; --c2: #1a7f5a; --c3: #b0438f; --c4: #4fa3d9; --c5: #8a6d3b;
  --c6: #7a5cc2; --c7: #8c959f; }
@media (prefers-color-scheme: dark) { :root { --paper: #14171a; --ink: #e6e9ec; --soft: #9ba5af;
  --line: #3a4148; --rest: #2a3036; --bad: #ff8a80; --near: #e3b341;
  --c0: #58a6ff; --c1: #f0974a; --c2: #4cc38a; --c3: #e07cc0; --c4: #7fc4f0; --c5: #c4a468;
  --c6: #a892ea; --c7: #7d8790; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 1.5rem 1rem 3rem; max-width: 64rem; background: var(--paper);
  color: var(--ink); font: 1rem/1.5 system-ui, sans-serif; }
h1 { font-size: 1.5rem; line-height: 1.25; margin: 0; overflow-wrap: anywhere; }
h2 { font-size: 1.125rem; margin: 2.5rem 0 .5rem; }
p { margin: .25rem 0; overflow-wrap: anywhere; } .soft { color: var(--soft); }
.figures { display: grid; grid-template-columns: repeat(auto-fit, minmax(9.5rem, 1fr));
  gap: .75rem; margin: 1.25rem 0; padding: 0; }
.figures div { border: 1px solid var(--line); border-radius: .5rem; padding: .625rem .75rem; }
.figures dt { color: var(--soft); font-size: .8125rem; }
.figures dd { margin: 0; font-size: 1.25rem; overflow-wrap: anywhere;
  font-variant-numeric: tabular-nums; }
.figures small { display: block; font-size: .8125rem; color: var(--soft); }
.chart { display: grid; grid-template-columns: auto 1fr; column-gap: .5rem; font-size: .8125rem;
  color: var(--soft); }
.chart svg { width: 100%; height: 15rem; display: block; grid-column: 2; }
.chart .up { display: flex; flex-direction: column; justify-content: space-between;
  text-align: right; margin: -.6rem 0; }
.chart .along { grid-column: 2; display: flex; justify-content: space-between; gap: .5rem;
  padding-top: .25rem; }
.chart .few span { flex: 1; text-align: center; }
.key { list-style: none; display: flex; flex-wrap: wrap; gap: .25rem 1.25rem; padding: 0;
  margin: .75rem 0; font-size: .875rem; }
.key li { overflow-wrap: anywhere; }
.key svg { width: .75rem; height: .75rem; margin-right: .375rem; }
.grid { stroke: var(--line); stroke-width: 1; vector-effect: non-scaling-stroke; }
.share { width: 7rem; height: .625rem; vertical-align: middle; } .rest { fill: var(--rest); }
.c0 { fill: var(--c0); } .c1 { fill: var(--c1); } .c2 { fill: var(--c2); } .c3 { fill: var(--c3); }
.c4 { fill: var(--c4); } .c5 { fill: var(--c5); } .c6 { fill: var(--c6); } .c7 { fill: var(--c7); }
rect.bad { fill: var(--bad); } rect.near { fill: var(--near); } .bad { color: var(--bad); }
.table { overflow-x: auto; }
table { border-collapse: collapse; font-size: .875rem; width: 100%; }
th, td { padding: .25rem .75rem .25rem 0; text-align: left; vertical-align: top;
  border-bottom: 1px solid var(--line); }
th { color: var(--soft); font-weight: 600; } tbody th { color: inherit; font-weight: 400;
  min-width: 7rem; max-width: 22rem; overflow-wrap: anywhere; }
.t { white-space: nowrap; }
.n { text-align: right; white-space: nowrap; font-variant-numeric: tabular-nums; }
tfoot th, tfoot td { font-weight: 600; color: inherit; border-bottom: 0; }
@media screen and (max-width: 40rem) { td:not(.n, .t, :empty) { min-width: 8rem; } }
@media print { :root { color-scheme: light; --paper: #fff; --ink: #000; --soft: #444; --line: #bbb;
  --rest: #e6e6e6; --bad: #b42318; --near: #9a6700; --c0: #0b6bcb; --c1: #d9730d; --c2: #1a7f5a;
  --c3: #b0438f; --c4: #4fa3d9; --c5: #8a6d3b; --c6: #7a5cc2; --c7: #8c959f; }
  body { max-width: none; padding: 0; font-size: 10pt; } .table { overflow: visible; }
  table { font-size: 8pt; } thead { display: table-header-group; }
  tfoot { display: table-row-group; }
  tr, .figures div, .chart { break-inside: avoid; } h2 { break-after: avoid; }
  svg { print-color-adjust: exact; -webkit-print-color-adjust: exact; } }
"""
