-- Rows of alert_days have another form now (tools.fleet.alerts.hours.to_text): they are computed
-- again from what is stored.

DELETE FROM alert_days;

DELETE FROM alert_marks WHERE name = 'hours';
