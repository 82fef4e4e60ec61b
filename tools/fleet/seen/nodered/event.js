// Events that somebody should act on; the others pass by. Closed list of agent/base/report/device.py.
const level = /^fleeting\/1\/d\/([A-Za-z0-9_-]{1,64})\/event$/.exec(msg.topic || "");
const e = msg.payload;
const urgent = {
    cage_open: "a wall of its sandbox is open",
    outbox_altered: "its outbox was changed by somebody else",
    outbox_damaged: "its outbox was damaged; summaries may be lost",
    camera_stalled: "its camera gives no pictures",
    microphone_stalled: "its microphone gives no sound",
    policy_refused: "its policy was refused; it publishes nothing",
    summaries_lost: "summaries were lost before they were sent",
    update_rolled_back: "an update was taken back; it works on the old version",
};
if (!level || e === null || typeof e !== "object" || e.v !== 1) return null;
if (!Object.hasOwn(urgent, e.code) || !Number.isInteger(e.count)) return null;
return {
    topic: `notice/${level[1]}`,
    payload: { device: level[1], code: e.code, times: e.count, text: `${level[1]}: ${urgent[e.code]}` },
};
