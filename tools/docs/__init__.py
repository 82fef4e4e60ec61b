"""The documentation as a site: `python -m tools.docs build`. Imports `common` only; the programs
that it describes are loaded by name.

`docs/*.md` are plain Markdown, read as they are on a forge. Where a page says
`<!-- generated: … -->` or `<!-- figure: … -->`, what stands up to `<!-- end -->` is replaced when
the site is built: by what the code says of itself, or by what a measurement stored. No figure and
no list of keys is typed twice.
"""
