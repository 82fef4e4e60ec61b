"""What watches a fleet: alert rules for Prometheus, dashboards for Grafana, a flow for Node-RED."""
