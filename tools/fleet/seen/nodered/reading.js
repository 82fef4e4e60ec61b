// One line for a dashboard: what happened in front of a screen, and how sure that is. `within`: 95 %
// of discrete Laplace noise lies within 3 b, and b of the visits is at most 5.5 / epsilon, where
// voices and words are published too 8.5 / epsilon (agent/privacy/policy/rules.py).
const s = msg.payload;
const windows = 1 + (s.window.merged || 0);
const share = s.v === 1 ? 5.5 : 8.5;
const b = s.privacy.epsilon_milli ? share / (s.privacy.epsilon_milli / 1000) : 0;
const within = Math.ceil(3 * b * Math.sqrt(windows));
const happy = s.expression ? s.expression.happiness : null;
msg.payload = {
    device: msg.device,
    slot: s.slot,
    shown: s.shown,
    start: s.window.start === null ? null : new Date(s.window.start * 1000).toISOString(),
    seconds: s.window.length,
    windows,
    visits: s.visits,
    passing: s.passing,
    within,
    happiness: happy,
    flags: s.quality ? s.quality.flags : [],
};
msg.topic = `reading/${msg.device}/${s.slot}`;
node.status({ fill: "green", shape: "dot", text: `${msg.device}: ${s.visits} +-${within} visits` });
return msg;
