#!/usr/bin/env python3
"""Draws comparison.svg from the figures of docs/benchmarks.md: python3 docs/images/comparison.py"""

from pathlib import Path

GROUPS = [
    ("Sums by merchant and minute", [
        ("Millrace, with dedup and distinct users", 1527, True),
        ("Flink 2.2, no local combine", 346, False),
        ("Spark 4.0", 220, False),
        ("Kafka Streams 4.3", 97, False),
    ]),
    ("Velocity rule", [
        ("Millrace, all four rules, with dedup", 1523, True),
        ("Flink 2.2, the one rule", 190, False),
        ("Spark 4.0, the one rule", 147, False),
    ]),
]
WIDTH, LEFT, BAR, GAP, SCALE = 760, 286, 22, 8, 0.26

rows, y = [], 48
for title, bars in GROUPS:
    rows.append(f'<text x="16" y="{y + 14}" class="group">{title}</text>')
    y += 28
    for label, value, ours in bars:
        width = value * SCALE
        kind = "ours" if ours else "other"
        rows.append(f'<text x="{LEFT - 10}" y="{y + 15}" text-anchor="end">{label}</text>')
        rows.append(f'<rect x="{LEFT}" y="{y}" width="{width:.1f}" height="{BAR}" rx="2" class="{kind}"/>')
        rows.append(f'<text x="{LEFT + width + 8:.1f}" y="{y + 15}" class="value">{value:,}</text>')
        y += BAR + GAP
    y += 12

svg = f'''<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {y}" role="img"
  aria-label="Thousand records a CPU second, whole process">
<style>
  text {{ font: 13px system-ui, sans-serif; fill: #24292f; }}
  .title {{ font-size: 15px; font-weight: 600; }} .group {{ font-weight: 600; }}
  .value {{ font-variant-numeric: tabular-nums; }}
  .ours {{ fill: #0b6e99; }} .other {{ fill: #a8b3bd; }}
</style>
<rect width="{WIDTH}" height="{y}" fill="#ffffff"/>
<text x="16" y="28" class="title">Thousand records a CPU second, whole process, 12 million records</text>
{chr(10).join(rows)}
</svg>
'''
Path(__file__).with_suffix(".svg").write_text(svg)
