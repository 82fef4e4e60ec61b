"""`fleeting audit VIDEO`: does anything of a picture leave the device or touch its disk?

The video is played through the two real processes; every byte that they send or write is recorded
and searched for it. Openings fail whatever they hold: a message that its schema does not allow, a
byte in the outbox that belongs to no message, a file nobody expects. The canary, the video itself,
then names what was found, and looks into the few places that are allowed to be binary.
"""
