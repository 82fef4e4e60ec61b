// Follows a roll-out: an event says that something has changed, and the tables are loaded again.
"use strict";
(() => {
  const part = document.getElementById("fresh");
  if (!part || !part.dataset.events) return;
  const events = new EventSource(part.dataset.events);
  async function renew(ended) {
    if (ended) { events.close(); location.reload(); return; }
    const answer = await fetch(location.href, { headers: { "fleeting-quiet": "1" } });
    if (!answer.ok || answer.redirected) { events.close(); return; }
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const fresh = page.getElementById("fresh");
    const old = document.getElementById("fresh");
    if (fresh && old && !old.contains(document.activeElement)) old.replaceChildren(...fresh.childNodes);
  }
  events.addEventListener("state", (event) => {
    renew(JSON.parse(event.data).ended).catch(() => {});
  });
  window.addEventListener("pagehide", () => events.close());
})();
