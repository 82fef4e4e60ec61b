// Events that somebody should act on; the others pass by. Closed list of agent/base/report/device.py.
const level = /^fleeting\/1\/d\/([A-Za-z0-9_-]{1,64})\/event$/.exec(msg.topic || "");
const e = msg.payload;
const urgent = {
    cage_open: "a wall of its sandbox is open",
    outbox_altered: "its outbox was changed by somebody else",
    outbox_damaged: "its outbox was damaged; summaries may be lost",
    camera_stalled: "its camera gives no pictures",
    camera_black: "its camera gives black pictures: is there light, and no cap on the lens?",
    camera_covered: "something covers its camera",
    camera_frozen: "its camera repeats one picture",
    camera_green: "its camera gives green pictures: the cable, or its driver",
    reboot_asked: "its camera does not come back; it asked for a reboot",
    hot: "it is too hot and looks at nothing until it has cooled: a fan, shade, air",
    undervolt: "its supply is too weak: the board's own supply and a short cable",
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
