// What a device says of an update. Output 1: sound; output 2: refused. The order of the fleet
// (job/next) is on a topic beside it and no answer.
const level = /^fleeting\/1\/d\/([A-Za-z0-9_-]{1,64})\/job\/([0-9a-f]{16}|next)$/.exec(msg.topic || "");
const j = msg.payload;
const refuse = (reason) => [null, { topic: "refused", payload: { reason } }];
const states = ["QUEUED", "IN_PROGRESS", "SUCCEEDED", "FAILED", "REJECTED", "CANCELED"];

if (!level) return refuse("the topic is no job's");
if (level[2] === "next") return null;
if (j === null || typeof j !== "object" || j.v !== 1) return refuse("no answer to a job");
if (j.job !== level[2]) return refuse("a job that is not the topic's");
if (!states.includes(j.status)) return refuse("a status that is not known");
if (!Number.isInteger(j.number) || j.number < 0 || j.number > 255) return refuse("no number");
for (const version of [j.app, j.models])
    if (!/^[0-9]{1,4}\.[0-9]{1,4}\.[0-9]{1,4}$/.test(version)) return refuse("no version");
for (const word of [j.step, j.reason])
    if (word !== null && !/^[A-Za-z_]{1,32}$/.test(word)) return refuse("no step or reason");

msg.device = level[1];
return [msg, null];
