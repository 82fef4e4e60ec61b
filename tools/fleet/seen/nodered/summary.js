// A summary as it stands in agent/base/schemas/summary-1.json and summary-2.json, as far as a flow
// needs it. Output 1: sound; output 2: refused, with the reason. What is refused is not shown:
// whoever may write could write anything.
const level = /^fleeting\/1\/d\/([A-Za-z0-9_-]{1,64})\/summary$/.exec(msg.topic || "");
const s = msg.payload;
const whole = (value, low, high) => Number.isInteger(value) && value >= low && value <= high;
const refuse = (reason) => [null, { topic: "refused", payload: { reason } }];

if (!level) return refuse("the topic is no device's");
if (s === null || typeof s !== "object" || Array.isArray(s)) return refuse("no object");
if (s.v !== 1 && s.v !== 2) return refuse("a form that is not known");
if (!/^[0-9a-f]{8}$/.test(s.boot) || !whole(s.seq, 0, 16777215)) return refuse("no identity");
if (!s.window || ![10, 60, 300, 900, 3600].includes(s.window.length)) return refuse("no window");
if (s.window.start !== null && !whole(s.window.start, 1700000000, 4102444800))
    return refuse("a time that is none");
if (!whole(s.slot, 0, 255)) return refuse("no slot");
if (!whole(s.shown, 0, 100)) return refuse("no time on show");
if (s.passing !== null && !whole(s.passing, -256, 1008)) return refuse("passers-by out of range");
if (s.visits !== null && !whole(s.visits, -256, 1008)) return refuse("visits out of range");
if (!Array.isArray(s.withheld) || s.withheld.length > 9) return refuse("no list of what is withheld");
if (!s.privacy || !whole(s.privacy.epsilon_milli, 0, 4000)) return refuse("no privacy");
if (!whole(s.privacy.k, 1, 100)) return refuse("no k");

msg.device = level[1];
return [msg, null];
