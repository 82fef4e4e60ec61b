"""Traces of a study's participants: what a face did, without the face. Under `research-consented`,
where `research.traces` asks for it, and only while a session is open; see docs/review.md.

`session`: which session is open, and its withdrawal code. `sealed`: how a file of them is
encrypted. `strip`: the facial channels around a micro-expression. `recorder`: from faces to lines.
`keeper`: the folder, its size, and what is deleted when.

Nothing here may reach the outbox or the uplink: the room imports neither `wall` nor `host`.
"""
