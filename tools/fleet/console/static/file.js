// Puts a chosen file's text into the form: it is sent as text, or not at all.
"use strict";
(() => {
  const file = document.getElementById("file");
  const text = document.getElementById("text");
  if (!file || !text) return;
  file.addEventListener("change", async () => {
    if (file.files.length) text.value = (await file.files[0].text()).slice(0, 3000000);
  });
})();
