"""Enrolment: how a device gets its certificate, and a new one in time. The key is made here and
never leaves; what leaves is a certificate signing request (PKCS #10, RFC 2986).

`messages`: what both sides say, which the fleet's side imports too. `bundle`: what the operator
gives along. `identity`: the files. `examine`: is a certificate the one that was asked for? `link`:
one MQTT connection. `converse`: asking until there is an answer. `run`: `fleeting enrol`, with and
without `--renew`; `arguments`: what it is given.
"""
