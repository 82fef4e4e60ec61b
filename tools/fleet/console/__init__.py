"""The console: pages and a JSON API on the collector's database, for people who watch a fleet.

Of the fleet's rooms it may import store, controller, operate, export and settings. It only reads,
except for what an operator wishes, which goes the same way as what he types.

    guard       every request: host, headers, who asks, whether it was meant
    pages       templates; app, the routes
    api         JSON and streams, described by openapi
"""
