// Finds a pasted line among the messages of this page: literal parts must be in it, in order.
(function () {
  "use strict";
  var input = document.getElementById("line");
  var found = document.getElementById("found");
  if (!input || !found) return;
  function escaped(text) { return text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"); }
  var rows = Array.prototype.map.call(document.querySelectorAll("td a.here"), function (here) {
    var code = here.parentNode.querySelector("code");
    var weight = 0;
    var pattern = Array.prototype.map.call(code.childNodes, function (node) {
      if (node.nodeType !== 3) return ".*?";
      weight += node.textContent.trim().length;
      return escaped(node.textContent);
    }).join("");
    return { id: here.id, text: code.textContent, weight: weight, pattern: new RegExp(pattern) };
  });
  input.addEventListener("input", function () {
    var line = input.value.trim();
    found.textContent = "";
    if (line.length < 8) return;
    rows.filter(function (row) { return row.weight >= 8 && row.pattern.test(line); })
      .sort(function (a, b) { return b.weight - a.weight; })
      .slice(0, 5)
      .forEach(function (row) {
        var item = found.appendChild(document.createElement("li"));
        var link = item.appendChild(document.createElement("a"));
        link.href = "#" + row.id;
        link.textContent = row.text;
      });
    if (!found.firstChild) found.appendChild(document.createElement("li")).textContent = "No message of this version is in that line.";
  });
})();
