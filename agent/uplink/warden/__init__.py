"""The warden: what may leave in a day, enforced against a taken-over perceive process, which can
write anything into the shared outbox. May import what `uplink` may.

Every message passes `Warden` before it is sent. What was admitted is on disk, in a file that only
this process writes, before it leaves; the quotas are those of `base.quotas`.
"""
