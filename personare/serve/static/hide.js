"use strict";

// The first page: a file is copied piece by piece.
const send = (file) => {
  if (!$("consent").checked) { complain("Tick first that you may open it here."); $("consent").focus(); return; }
  const request = new XMLHttpRequest();
  request.open("POST", `/hide/upload?consent=yes&name=${encodeURIComponent(file.name)}`);
  for (const [name, value] of [["content-type", "application/octet-stream"], ["x-csrf", csrf], ["accept", "application/json"]]) request.setRequestHeader(name, value);
  $("sent").hidden = false; complain("");
  const fail = (text) => { $("sent").hidden = true; $("file").value = ""; complain(text); };
  request.upload.onprogress = (event) => { $("sent").value = event.loaded / event.total; };
  request.onerror = () => fail("It could not be copied: the file changed meanwhile, is larger than 2 GB, or the program does not answer.");
  request.onload = () => {
    let given = {};
    try { given = JSON.parse(request.responseText); } catch { /* said below */ }
    if (request.status === 200) location.href = `/hide/${given.film}`; else fail(given.error || "It could not be copied.");
  };
  request.send(file);
};
if ($("choose")) {
  $("file").onchange = () => { if ($("file").files[0]) send($("file").files[0]); };
  $("consent").onchange = () => { if ($("consent").checked) $("file").onchange(); };
  for (const name of ["dragover", "dragleave", "drop"]) $("choose").addEventListener(name, (event) => {
    event.preventDefault();
    $("drop").classList.toggle("over", name === "dragover");
    if (name === "drop" && event.dataTransfer.files[0]) send(event.dataTransfer.files[0]);
  });
}

// A recording's page.
const film = $("film") && `/hide/${$("film").dataset.film}`;
const original = $("original"), canvas = $("draw"), line = $("timeline");
let now, corrections = { add: [], remove: [], cover: [], bleep: [] }, made, result, seen = [], box, changed = false;
const number = (id) => ($(id).value === "" ? undefined : Number($(id).value));
const step = (count) => { pause(); const rate = now.about.rate_hz || 25; seek((Math.floor(original.currentTime * rate + 0.001) + count + 0.5) / rate); };
const round = (value, digits = 3) => Number(value.toFixed(digits));
const color = (name) => getComputedStyle(document.querySelector(`.${name}`)).getPropertyValue("--key");

const seek = (time) => {
  time = Math.min(Math.max(0, time), now.about.duration_s);
  for (const one of [original, result]) if (one) one.currentTime = time;
  show();
};
const pause = () => { original.pause(); if (result) result.pause(); $("play").textContent = "Play"; look(); };
const play = () => {
  if (!original.paused) { pause(); return; }
  if (result) { result.currentTime = original.currentTime; result.play(); }
  original.play().then(() => { $("play").textContent = "Pause"; follow(); }, () => complain("This browser cannot play the original. Convert it to MP4 (H.264) or WAV, or use another browser."));
};
const follow = () => {
  if (original.paused) { pause(); return; }
  if (result && Math.abs(result.currentTime - original.currentTime) > 0.15) result.currentTime = original.currentTime;
  show();
  requestAnimationFrame(follow);
};
const look = async () => {
  show();
  if (!now || now.about.kind !== "film" || !made) return;
  try { seen = await ask(`${film}/faces?at_s=${original.currentTime}`); } catch { seen = []; }
  const found = seen.filter((face) => face.track >= 0);
  $("faces").replaceChildren(...(found.length ? found.map((face) => {
    const row = document.createElement("p"), button = document.createElement("button");
    row.textContent = `What lies ${round(100 * face.left, 0)} % from the left and ${round(100 * face.top, 0)} % from the top (track ${face.track})`;
    button.textContent = "This is no face"; button.className = "plain";
    button.onclick = () => { const when = within(face.at_s); if (when) change("remove", { ...when, track: face.track, ...shares(face) }); };
    row.append(button);
    return row;
  }) : [Object.assign(document.createElement("p"), { textContent: "Nothing was found in this picture.", className: "small" })]));
  paint();
};
const show = () => {
  if (!now) return;
  if (document.activeElement !== $("at")) $("at").value = round(original.currentTime, 2);
  line.setAttribute("aria-valuenow", round(original.currentTime, 2));
  paint();
};
const paint = () => {
  const scale = devicePixelRatio, width = (line.width = line.clientWidth * scale), height = (line.height = line.clientHeight * scale);
  const pen = line.getContext("2d"), x = (time) => (time / (now.about.duration_s || 1)) * width, isFilm = now.about.kind === "film";
  const top = isFilm ? height * 0.36 : 0, middle = (height + top) / 2;
  if (isFilm && made) for (const [from, to, state] of made.stretches) { pen.fillStyle = color(state); pen.fillRect(x(from), 4 * scale, Math.max(1, x(to) - x(from)), top - 8 * scale); }
  pen.fillStyle = color("sound");
  const wide = x(now.about.sound_s) / (now.about.peaks.length || 1), loudest = Math.max(0.02, ...now.about.peaks);
  now.about.peaks.forEach((peak, at) => { const tall = Math.max(1, (peak / loudest) * (height - top) * 0.46); pen.fillRect(at * wide, middle - tall, Math.max(1, wide * 0.7), 2 * tall); });
  for (const { from_s: from = 0, to_s: to } of corrections.bleep) { pen.fillStyle = color("unsure"); pen.fillRect(x(from || 0), middle - 3 * scale, x(to ?? now.about.duration_s) - x(from || 0), 6 * scale); }
  const from = number("from"), to = number("to");
  if (from !== undefined || to !== undefined) { pen.fillStyle = color("picked"); pen.globalAlpha = 0.35; pen.fillRect(x(from ?? 0), 0, x(to ?? now.about.duration_s) - x(from ?? 0), height); pen.globalAlpha = 1; }
  pen.fillStyle = getComputedStyle(line).color; pen.fillRect(x(original.currentTime) - scale, 0, 2 * scale, height);
  if (!canvas) return;
  const wideBox = (canvas.width = canvas.clientWidth * scale), tallBox = (canvas.height = canvas.clientHeight * scale), brush = canvas.getContext("2d");
  const frame = (one, style, dash) => { brush.strokeStyle = style; brush.lineWidth = 3 * scale; brush.setLineDash(dash); brush.strokeRect(one.left * wideBox, one.top * tallBox, (one.right - one.left) * wideBox, (one.bottom - one.top) * tallBox); };
  if (original.paused) seen.forEach((face) => frame(face, color(face.track < 0 ? "picked" : "face"), []));
  if (box) frame(box, color("picked"), [6 * scale, 4 * scale]);
};

const SIDES = ["left", "top", "right", "bottom"];
const shares = (one) => Object.fromEntries(SIDES.map((side) => [side, round(Math.min(1, Math.max(0, one[side])), 4)]));
const within = (at) => {
  const from = number("from"), to = number("to");
  if (from > at || to <= at) { complain(`The stretch you chose does not hold this picture, at ${round(at, 2)} s. Choose another, or empty its fields.`); return null; }
  complain("");
  return { at_s: round(at), ...(from !== undefined && { from_s: from }), ...(to !== undefined && { to_s: to }) };
};
const change = (kind, one) => { corrections[kind].push(one); changed = true; list(); };
const words = {
  add: (one) => `a box at ${one.at_s} s`, remove: (one) => `no face: track ${one.track} at ${one.at_s} s`,
  cover: () => "covered whole", bleep: (one) => (one.sound === "silence" ? "silenced" : "bleeped"),
};
const list = () => {
  $("list").replaceChildren(...Object.keys(words).flatMap((kind) => corrections[kind].map((one) => {
    const row = document.createElement("li"), button = document.createElement("button");
    row.textContent = `${words[kind](one)}, from ${one.from_s ? `${one.from_s} s` : "the beginning"} to ${one.to_s == null ? "the end" : `${one.to_s} s`}`;
    button.textContent = "Take back"; button.className = "plain";
    button.onclick = () => { corrections[kind].splice(corrections[kind].indexOf(one), 1); changed = true; list(); };
    row.append(button);
    return row;
  })));
  if (!$("list").children.length) $("list").append(Object.assign(document.createElement("li"), { textContent: "none", className: "small" }));
  $("again").disabled = !changed || now.running;
  $("leave").disabled = changed || !made || now.right || now.running;
  $("download").hidden = changed || !now.right;
  $("mended").hidden = changed;
  paint();
};
const stretch = (kind, more) => () => {
  const from = number("from"), to = number("to");
  if (from === undefined || to === undefined || from >= to) { complain("Choose a stretch first: from a time to a later one, by the fields or on the timeline."); return; }
  complain(""); change(kind, { from_s: from, to_s: to, ...more });
};

const refresh = async () => {
  const before = made && made.stamp;
  now = await ask(`${film}/state`);
  if (!changed) corrections = { add: now.corrections.add, remove: now.corrections.remove, cover: now.corrections.cover, bleep: now.corrections.bleep };
  const failed = now.made && now.made.error;
  made = failed ? null : now.made;
  $("make").disabled = now.running;
  $("progress").hidden = !now.running;
  if (now.running) {
    if (now.progress) $("progress").value = now.progress.share; else $("progress").removeAttribute("value");
    const past = (Date.now() - begun) / 1000, share = now.progress && now.progress.share;
    $("status").textContent = `It is being made${now.progress ? ` (${now.progress.stage})` : ""}; left: ${share > 0.03 ? `about ${Math.ceil((past / share) * (1 - share))} s` : "not known yet"}`;
    setTimeout(trying(refresh), 1000);
  } else {
    $("status").textContent = failed ? "" : made ? summary() : "";
    if (failed) complain(`It could not be made: ${now.made.error}`);
  }
  if (made && made.stamp !== before) {
    for (const kind of ["face", "voice"]) if ($(kind)) { $(kind).value = made[kind]; $(kind).onchange(); }
    result = document.createElement(made.file.endsWith(".mp4") ? "video" : "audio");
    Object.assign(result, { src: `${film}/result?${made.stamp}`, preload: "auto", playsInline: true });
    $("result").replaceChildren(result);
    result.onloadeddata = () => seek(original.currentTime);
    mute(); look();
  } else if (!made) { result = null; $("result").replaceChildren(Object.assign(document.createElement("p"), { textContent: "Nothing was made yet.", className: "small" })); }
  list();
};
const summary = () => {
  if (!made.stretches.length) return "It is made. Listen to it.";
  const long = (state) => round(made.stretches.filter((one) => one[2] === state).reduce((sum, one) => sum + one[1] - one[0], 0), 1);
  return `It is made: faces hidden for ${long("face")} s, nobody found for ${long("nobody")} s, covered whole for ${round(long("unsure") + long("covered"), 1)} s. Look at it.`;
};
const mute = () => { original.muted = !!result && !$("hear").checked; if (result) result.muted = $("hear").checked; };
let begun = Date.now();
const make = trying(async () => {
  const masks = Object.fromEntries(["face", "voice"].map((kind) => [kind, $(kind) ? $(kind).value : ""]));
  await ask(`${film}/make`, { ...masks, corrections });
  changed = false; made = null; seen = []; box = null; begun = Date.now();
  await refresh();
});
const boxFields = () => { if (box) for (const side in box) $(side).value = round(100 * box[side], 1); paint(); };

if (film) {
  for (const kind of ["face", "voice"]) if ($(kind)) { const tell = () => { $(`about-${kind}`).textContent = $(kind).selectedOptions[0].dataset.about; }; $(kind).onchange = tell; tell(); }
  $("make").onclick = $("again").onclick = make;
  $("play").onclick = play;
  $("back").onclick = () => step(-1);
  $("forth").onclick = () => step(1);
  $("at").onchange = () => { const time = number("at") || 0; pause(); seek(time); };
  $("hear").onchange = mute;
  original.onseeked = original.onended = () => { if (original.paused) look(); };
  original.onerror = () => complain("This browser cannot play the original. A preview can be made all the same; to look at the original, convert it to MP4 (H.264) or WAV.");
  original.onloadeddata = () => show();
  $("begin").onclick = () => { $("from").value = round(original.currentTime, 2); paint(); };
  $("end").onclick = () => { $("to").value = round(original.currentTime, 2); paint(); };
  $("from").oninput = $("to").oninput = () => paint();
  if ($("cover")) $("cover").onclick = stretch("cover");
  if ($("bleep")) { $("bleep").onclick = stretch("bleep", { sound: "tone" }); $("silence").onclick = stretch("bleep", { sound: "silence" }); }
  $("leave").onclick = trying(async () => { await ask(`${film}/release`, { made: made.stamp }); await refresh(); $("download").focus(); });
  $("delete").onclick = trying(async () => { if (confirm("Delete the copy, the result and the corrections?")) { await ask(`${film}/delete`, {}); location.href = "/hide"; } });
  let grip = null;
  const timeOf = (event) => (Math.min(Math.max(0, event.offsetX / line.clientWidth), 1)) * now.about.duration_s;
  line.onpointerdown = (event) => { grip = timeOf(event); line.setPointerCapture(event.pointerId); pause(); seek(grip); };
  line.onpointermove = (event) => { if (grip === null) return; const [from, to] = [grip, timeOf(event)].sort((a, b) => a - b); if (to - from > now.about.duration_s / 100) { $("from").value = round(from, 2); $("to").value = round(to, 2); paint(); } };
  line.onpointerup = line.onpointercancel = () => { grip = null; };
  line.onkeydown = (event) => {
    const move = { ArrowLeft: -1, ArrowRight: 1, PageDown: -25, PageUp: 25 }[event.key];
    if (event.key === " ") { event.preventDefault(); play(); }
    if (!move) return;
    event.preventDefault();
    if (event.shiftKey && number("from") === undefined) $("from").value = round(original.currentTime, 2);
    step(move);
    if (event.shiftKey) $("to").value = round(Math.max(number("from") + 0.01, original.currentTime), 2);
    show();
  };
  if (canvas) {
    const spot = (event) => [Math.min(1, Math.max(0, event.offsetX / canvas.clientWidth)), Math.min(1, Math.max(0, event.offsetY / canvas.clientHeight))];
    let corner = null;
    canvas.onpointerdown = (event) => { pause(); corner = spot(event); canvas.setPointerCapture(event.pointerId); };
    canvas.onpointermove = (event) => { if (!corner) return; const [x, y] = spot(event); box = { left: Math.min(x, corner[0]), top: Math.min(y, corner[1]), right: Math.max(x, corner[0]), bottom: Math.max(y, corner[1]) }; boxFields(); };
    canvas.onpointerup = canvas.onpointercancel = () => { corner = null; };
    for (const side of SIDES) $(side).oninput = () => { box = Object.fromEntries(SIDES.map((one) => [one, (number(one) || 0) / 100])); paint(); };
    $("add").onclick = () => {
      if (!box || !(box.left < box.right && box.top < box.bottom)) { complain("Draw a box around the face first, or fill in its four sides."); return; }
      const when = within(original.currentTime);
      if (when) { const drawn = shares(box); box = null; change("add", { ...when, ...drawn }); }
    };
  }
  addEventListener("resize", () => show());
  matchMedia("(prefers-color-scheme: dark)").onchange = () => show();
  trying(refresh)();
}
