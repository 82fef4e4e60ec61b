// A sentence for whoever is called. ROLLED_BACK is a device that works again, on the old version.
const p = msg.payload;
const back = p.step === "ROLLED_BACK" ? "; it is back on the old version and works" : "";
msg.topic = `notice/${p.device}`;
msg.payload = {
    device: p.device,
    text: `${p.device}: update ${p.status} (${p.reason || "no reason given"})${back}. ` +
        `In force: ${p.app}, models ${p.models}.`,
};
return msg;
