// How a roll-out goes: the newest answer of each device, counted. Bounded: the oldest devices are
// forgotten beyond 20,000. A lower number of the same job came late and says nothing new.
const seen = flow.get("answers") || {};
const { job, number, status, step, reason, app, models } = msg.payload;
const known = seen[msg.device];
if (known && known.job === job && known.number > number) return null;
delete seen[msg.device];
seen[msg.device] = { job, number, status, step, reason };
const names = Object.keys(seen);
if (names.length > 20000) delete seen[names[0]];
flow.set("answers", seen);

const counts = {};
for (const each of Object.values(seen)) counts[each.status] = (counts[each.status] || 0) + 1;
const bad = (counts.FAILED || 0) + (counts.REJECTED || 0);
node.status({
    fill: bad ? "red" : "green",
    shape: "dot",
    text: Object.entries(counts).map(([name, count]) => `${count} ${name}`).join(", "),
});
return {
    topic: `rollout/${msg.device}`,
    payload: { device: msg.device, job, status, step, reason, app, models, counts },
};
