"""The style of the pages and of the index. No font, picture or script from elsewhere."""

from __future__ import annotations

import base64
import hashlib

from agent.desk.films.palette import css

_RULES = """
:root{color-scheme:light dark}
*{box-sizing:border-box}
body{margin:0;background:var(--paper);color:var(--ink);
 font:15px/1.55 system-ui,-apple-system,"Segoe UI",Roboto,"Noto Sans",sans-serif}
main,header,footer{max-width:52rem;margin:0 auto;padding:0 1.25rem}
body.wide main,body.wide header,body.wide footer{max-width:82rem}
header{padding-top:2.2rem}
h1{font-size:1.7rem;line-height:1.2;margin:0 0 .2rem;overflow-wrap:anywhere}
h2{font-size:1.25rem;margin:2.6rem 0 .7rem;padding-top:.9rem;border-top:1px solid var(--grid)}
p{margin:.6rem 0}
a{color:var(--accent)}
.sub{color:var(--soft);margin:0 0 1rem}
nav{display:flex;flex-wrap:wrap;gap:.1rem .9rem;font-size:.87rem;margin:.4rem 0 0}
.small{font-size:.85rem;color:var(--soft)}
.note{border-left:3px solid var(--accent);padding:.5rem .8rem;background:var(--panel)}
.bad{border-left:3px solid var(--bad);padding:.5rem .8rem;background:var(--panel)}
.big{display:grid;grid-template-columns:repeat(auto-fit,minmax(7.4rem,1fr));gap:.6rem;
 margin:1.2rem 0;padding:0}
.big div{background:var(--panel);border-radius:.5rem;padding:.6rem .8rem;
 display:flex;flex-direction:column-reverse;justify-content:flex-end}
.big dd{font-size:1.5rem;font-weight:650;line-height:1.2;margin:0}
.big dt{font-size:.8rem;color:var(--soft)}
dl.facts{display:grid;grid-template-columns:max-content 1fr;gap:.15rem 1rem;margin:.8rem 0;
 font-size:.92rem}
.facts div{display:contents}
.facts dt{color:var(--soft)}
.facts dd{margin:0;overflow-wrap:anywhere}
figure{margin:1rem 0 0}
svg{width:100%;height:auto;display:block;
 font-family:system-ui,-apple-system,"Segoe UI",Roboto,"Noto Sans",sans-serif}
rect{shape-rendering:crispEdges}
.l{fill:none;stroke-linejoin:round;stroke-linecap:round}
figcaption{font-size:.85rem;color:var(--soft);margin-top:.3rem}
.caveat{font-size:.85rem;background:var(--caution-paper);border-left:3px solid var(--caution);
 padding:.45rem .8rem;margin:.5rem 0 1rem}
.caveat b{color:var(--caution)}
.scroll{overflow-x:auto}
table{border-collapse:collapse;width:100%;font-size:.87rem;margin:.5rem 0}
caption{text-align:left;color:var(--soft);font-size:.85rem;padding-bottom:.3rem}
th,td{text-align:left;vertical-align:top;padding:.28rem .7rem .28rem 0;
 border-bottom:1px solid var(--grid)}
th{font-weight:600;color:var(--soft)}
.t{white-space:nowrap}
.n{text-align:right;font-variant-numeric:tabular-nums}
details{margin:.4rem 0 1rem}
summary{cursor:pointer;font-size:.87rem;color:var(--accent)}
.stills{display:grid;grid-template-columns:repeat(auto-fill,minmax(13rem,1fr));gap:.8rem}
.stills figure{margin:0}
.stills img{width:100%;height:auto;border-radius:.3rem}
footer{color:var(--soft);font-size:.8rem;margin:3rem auto 2rem;border-top:1px solid var(--grid);
 padding-top:.8rem;overflow-wrap:anywhere}
th button{font:inherit;color:inherit;background:none;border:0;padding:0;cursor:pointer;
 text-align:inherit}
th[aria-sort=ascending] button::after{content:" \\25B2"}
th[aria-sort=descending] button::after{content:" \\25BC"}
td svg{width:7.5rem;height:1.7rem}
div.legend{max-width:46rem}
th.name{min-width:9rem;max-width:22rem;overflow-wrap:anywhere}
td.failed{color:var(--bad);overflow-wrap:anywhere}
:focus-visible{outline:2px solid var(--accent);outline-offset:2px}
@media screen and (max-width:46rem){
 .sortable,.sortable tbody,.sortable caption{display:block}
 .sortable thead tr{display:flex;flex-wrap:wrap;gap:0 .9rem}
 .sortable thead th{border:0;padding-right:0}
 .sortable thead th[data-kind=""]{display:none}
 .sortable tbody tr{display:grid;grid-template-columns:1fr 1fr;gap:.1rem 1rem;padding:.6rem 0;
  border-bottom:1px solid var(--grid)}
 .sortable tbody th,.sortable td{border:0;padding:.1rem 0;text-align:left;max-width:none}
 .sortable tbody th,td.failed{grid-column:1/-1}
 .sortable td[data-h]::before{content:attr(data-h);display:block;font-size:.75rem;
  color:var(--soft)}
 .scroll td,.scroll th{padding-right:.4rem}.t{white-space:normal}
 main>figure{overflow-x:auto}
 main>figure svg{min-width:36rem}}
@media print{body{font-size:10pt}main,header,footer{max-width:none}nav,summary{display:none}
 h2{break-after:avoid}figure,.caveat,tr,.big{break-inside:avoid}
 *{-webkit-print-color-adjust:exact;print-color-adjust:exact}}
"""
STYLE = css() + _RULES


def allowed(*scripts: str, pictures: bool = False) -> str:
    """A Content-Security-Policy under which nothing is fetched, and only this style and these
    scripts hold."""
    rules = ["default-src 'none'", f"style-src {_hash(STYLE)}", "base-uri 'none'",
             "form-action 'none'"]  # fmt: skip
    if scripts:
        rules.append("script-src " + " ".join(map(_hash, scripts)))
    if pictures:
        rules.append("img-src data:")
    return "; ".join(rules)


def _hash(text: str) -> str:
    digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
    return f"'sha256-{digest}'"
