// Loads the part with the id "fresh" again every few seconds, while the page is looked at. That does
// not count as using the session.
"use strict";
(() => {
  const EVERY = 5000;
  async function renew() {
    const old = document.getElementById("fresh");
    if (document.hidden || !old || old.contains(document.activeElement)) return;
    const answer = await fetch(location.href, { headers: { "fleeting-quiet": "1" } });
    if (!answer.ok || answer.redirected) return;
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const fresh = page.getElementById("fresh");
    if (fresh && fresh.textContent !== old.textContent) old.replaceWith(document.adoptNode(fresh));
  }
  setInterval(() => renew().catch(() => {}), EVERY);
})();
