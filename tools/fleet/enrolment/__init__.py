"""Certificates of devices: bootstrap, requests, approval, renewal, revocation. May import `broker`,
`store` and `settings`.

For a controller: `intake.SUBSCRIPTIONS`, `intake.take` for each message there, then what
`answers.due` gives is published retained and, once acknowledged, told to `answers.done`.
"""
