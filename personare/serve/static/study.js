"use strict";
// Asks how far the work is, every two seconds; when it has ended, the page is shown anew.
const job = document.getElementById("job");
const show = (id, text) => { const place = document.getElementById(id); if (place.textContent !== text) place.textContent = text; };
const look = async () => {
  try {
    const answer = await fetch(job.dataset.state, { headers: { accept: "application/json" } });
    if (!answer.ok) { location.reload(); return; }
    const now = await answer.json();
    if (now.state !== "running") { location.reload(); return; }
    job.querySelector("progress").value = now.share;
    show("stage", now.stage && `: ${now.stage}`);
    show("elapsed", now.elapsed);
    show("remaining", now.remaining);
    show("lines", now.lines.join("\n"));
  } catch {
    show("remaining", "not known: the program does not answer. Start it again; the work goes on meanwhile.");
  }
  setTimeout(look, 2000);
};
setTimeout(look, 1000);
