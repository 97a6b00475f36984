"use strict";
let person = sessionStorage.getItem("person"); // whose page this is: another tab is another person's
let known, answering, question = ""; // of the check-in
const call = (name, more) => ask(`/assistant/${name}`, { person, ...more });
const element = (tag, attributes, ...children) => { const one = Object.assign(document.createElement(tag), attributes); one.append(...children); return one; };
const save = (name, content, type) => {
  const link = element("a", { href: URL.createObjectURL(new Blob([content], { type })), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
};
const turn = (role, text) => {
  const one = element("p", { className: `turn ${role}`, textContent: text });
  $("turns").append(one); one.scrollIntoView({ block: "nearest" });
  return one;
};

// What is known of the person.
const show = (state) => {
  known = state;
  const tutor = known.role === "tutor";
  $("begin").hidden = true; $("room").hidden = false;
  $("camera").hidden = tutor || $("camera").dataset.how === "none" || !known.consents.length;
  if ($("camera").hidden) off();
  $("consents").hidden = tutor || $("camera").dataset.how === "none";
  for (const box of $("consents").querySelectorAll("input")) box.checked = known.consents.includes(box.value);
  $("checkin").hidden = $("summarize").hidden = tutor;
  $("keeping").hidden = !known.sealed; $("history").checked = known.history;
  $("profile").replaceChildren(...Object.entries(known.profile).map(([cue, one]) => {
    const remove = element("button", { className: "plain", textContent: "Remove", ariaLabel: `Remove ${one.label}`, onclick: trying(async () => show(await call("withdraw", { cue }))) });
    return element("div", {}, element("dt", { textContent: one.label }), element("dd", { textContent: `${one.value} ` }, element("span", { className: "small", textContent: `(${one.words})` })), remove);
  }));
  if (!$("profile").children.length) $("profile").append(element("dd", { className: "small", textContent: "Nothing." }));
  $("spent").textContent = known.epsilon_spent ? `Chance was added to what the camera said: epsilon ${known.epsilon_spent} in all.` : "";
  $("log").replaceChildren(...known.log.map((words) => element("li", { textContent: words })));
};
const leave = (mark) => { sessionStorage.removeItem("person"); location.hash = mark; location.reload(); }; // an empty page
$("begin").onsubmit = trying(async (event) => {
  event.preventDefault();
  const role = new FormData($("begin")).get("role"), seeing = role === "health" && !$("minor").checked;
  const state = await ask("/assistant/begin", {
    role, name: $("name").value, minor: $("minor").checked, passphrase: $("passphrase").value,
    consents: seeing ? new FormData($("begin")).getAll("consent") : [], epsilon: Number($("epsilon")?.value) || null,
  });
  $("passphrase").value = "";
  sessionStorage.setItem("person", (person = state.person));
  for (const one of state.turns) turn(one.role, one.text);
  show(state);
  $("text").focus();
});
$("begin").onchange = () => { $("seeing").hidden = $("minor").checked || new FormData($("begin")).get("role") !== "health"; };
const fields = () => { for (const one of $("declare").querySelectorAll("[data-cue]")) one.hidden = one.dataset.cue !== $("cue").value; };
$("cue").onchange = fields; fields();
$("declare").onsubmit = trying(async (event) => {
  event.preventDefault();
  const input = $("declare").querySelector(`[data-cue=${$("cue").value}]`).firstElementChild;
  show(await call("declare", { cue: $("cue").value, value: input.value }));
  if (input.tagName === "INPUT") input.value = "";
});
for (const box of $("consents").querySelectorAll("input")) box.onchange = trying(async () => show(await call("consent", { cue: box.value, on: box.checked })));
$("history").onchange = trying(async () => { try { show(await call("history", { on: $("history").checked })); } catch (error) { $("history").checked = known.history; throw error; } });
$("about").onclick = trying(async () => turn("assistant", (await call("about")).text));
$("export").onclick = trying(async () => save("about-me.json", JSON.stringify(await call("export"), null, 2), "application/json"));
$("forget").onclick = trying(async () => {
  if (!confirm("Everything of you here will be gone: this conversation, what is known of you, and what was kept on this machine.")) return;
  answering?.abort();
  await call("forget");
  leave("forgotten");
});

// The conversation.
$("say").onsubmit = trying(async (event) => {
  event.preventDefault();
  const text = $("text").value.trim();
  if (!text || answering) return;
  answering = new AbortController();
  $("send").disabled = true; $("stop").hidden = false;
  let reply;
  try {
    await look();
    turn("user", text); $("text").value = "";
    if (question) { pose(await call("answer", { text })); return; }
    reply = turn("assistant", "");
    const headers = { "content-type": "application/json", "x-csrf": csrf, accept: "application/json" };
    const answer = await fetch("/assistant/say", { method: "POST", headers, body: JSON.stringify({ person, text }), signal: answering.signal });
    if (!answer.ok) { $("text").value = text; reply.previousSibling.remove(); throw new Error((await answer.json()).error); }
    const pieces = answer.body.pipeThrough(new TextDecoderStream()).getReader();
    for (let piece; !(piece = await pieces.read()).done;) { reply.append(piece.value); reply.scrollIntoView({ block: "nearest" }); }
    speak(reply.textContent);
    show(await call("state"));
  } catch (error) {
    if (reply && !reply.textContent) reply.remove();
    if (error.name === "AbortError") return;
    throw error.name === "TypeError" ? new Error("The program does not answer. Start personare again, and open the address it prints.") : error;
  } finally {
    answering = null; $("send").disabled = false; $("stop").hidden = true;
  }
});
$("stop").onclick = () => answering?.abort();
$("text").onkeydown = (event) => { if (event.key === "Enter" && !event.shiftKey) { event.preventDefault(); $("say").requestSubmit(); } };
const pose = (step) => {
  question = step.question;
  const text = [step.text, question].filter(Boolean).join("\n");
  if (text) speak(turn("assistant", text).textContent);
  $("options").replaceChildren(...(step.options.length > 6 ? [] : step.options).map((option) => element("button", {
    type: "button", className: "plain", textContent: option, onclick: () => { $("text").value = option; $("say").requestSubmit(); },
  })));
  $("checkin").textContent = question ? "Pause the check-in" : "Begin the check-in";
  $("text").focus();
};
$("checkin").onclick = trying(async () => pose(question ? { options: [] } : await call("checkin")));
$("summarize").onclick = trying(async () => {
  const lines = await call("summary");
  if (!lines.length) { complain("There is nothing to sum up yet: do the check-in first."); return; }
  $("approve").replaceChildren(...lines.map((line) => element("label", { className: "tick" }, element("input", { type: "checkbox", value: line.id }), element("span", {}, line.text, element("br"), element("span", { className: "small", textContent: line.evidence })))));
  $("lines").returnValue = "no"; $("lines").showModal();
});
$("lines").onclose = trying(async () => {
  if ($("lines").returnValue !== "yes") return;
  const lines = [...$("approve").querySelectorAll("input:checked")].map((box) => box.value);
  save("summary.txt", (await call("approved", { lines })).text, "text/plain");
});

// Reading aloud: by voices of this machine only, since others send the text away.
const voice = () => speechSynthesis.getVoices().find((one) => one.localService && one.lang.startsWith("en"));
const voices = () => { $("aloud-tick").hidden = !voice(); };
if (window.speechSynthesis) { voices(); speechSynthesis.onvoiceschanged = voices; }
const speak = (text) => {
  if (!$("aloud").checked || !voice()) return;
  speechSynthesis.speak(Object.assign(new SpeechSynthesisUtterance(text), { voice: voice() }));
};

// The camera. In the browser, blendshapes become two words by the weights of features/looks.py; else one picture is sent.
const video = $("video"), reader = JSON.parse($("reader").textContent), DARK = 30, LOOKS = 8;
let stream, landmarker, looks = [], cues = null, asked = false;
const READING = [
  { wasmLoaderPath: "/assistant/camera/vision_wasm_internal.js", wasmBinaryPath: "/assistant/camera/vision_wasm_internal.wasm" },
  { baseOptions: { modelAssetPath: "/assistant/camera/face.task", delegate: "CPU" }, runningMode: "VIDEO", numFaces: 2, outputFaceBlendshapes: true },
];
const REFUSED = {
  NotAllowedError: "The camera was refused. Everything works without it.",
  NotFoundError: "There is no camera here. Everything works without it.",
  NotReadableError: "The camera is used by another program. Everything works without it.",
};
const off = () => {
  stream?.getTracks().forEach((track) => track.stop());
  stream = null; cues = null; looks = []; asked = false; $("sends").checked = false; video.srcObject = null; video.hidden = true;
  $("leaves").hidden = true; $("seen").textContent = "It is off."; $("switch").textContent = "Turn the camera on";
};
const on = async () => {
  try { stream = await navigator.mediaDevices.getUserMedia({ video: { width: 640, height: 480, facingMode: "user" }, audio: false }); } catch (error) {
    $("seen").textContent = REFUSED[error.name] || `The camera cannot be used (${error.message}). Everything works without it.`;
    return;
  }
  video.srcObject = stream; video.hidden = false;
  await video.play();
  $("switch").textContent = "Turn the camera off"; $("leaves").hidden = false;
  if ($("camera").dataset.how === "browser") {
    $("seen").textContent = "What reads faces is being loaded.";
    const { FaceLandmarker } = await import("/assistant/camera/vision_bundle.mjs");
    landmarker ||= await FaceLandmarker.createFromOptions(...READING);
  }
  watch();
};
const brightness = () => {
  const small = element("canvas", { width: 32, height: 24 }), pen = small.getContext("2d", { willReadFrequently: true });
  pen.drawImage(video, 0, 0, 32, 24);
  return pen.getImageData(0, 0, 32, 24).data.reduce((sum, value, at) => sum + (at % 4 < 3 ? value : 0), 0) / (32 * 24 * 3);
};
const looksLike = (frames) => {
  const names = Object.keys(frames[0]), mean = Object.fromEntries(names.map((name) => [name, frames.reduce((sum, one) => sum + one[name], 0) / frames.length]));
  const pair = (name) => (name in mean ? mean[name] : (mean[`${name}Left`] + mean[`${name}Right`]) / 2);
  const scores = Object.entries(reader.expressions).map(([name, one]) => [name, Math.exp(one.bias + Object.entries(one.weights).reduce((sum, [shape, weight]) => sum + weight * pair(shape), 0))]);
  const [best, chance] = scores.reduce((one, other) => (other[1] > one[1] ? other : one));
  const right = mean.eyeLookOutRight + mean.eyeLookInLeft - mean.eyeLookOutLeft - mean.eyeLookInRight, down = 2 * (pair("eyeLookDown") - pair("eyeLookUp"));
  const words = { gaze: Math.max(Math.abs(right), Math.abs(down)) / 2 > reader.aside ? "elsewhere" : "at the screen" };
  if (chance >= reader.sure * scores.reduce((sum, one) => sum + one[1], 0)) words.expression = best;
  return words;
};
const tell = (id, text) => { if ($(id).textContent !== text) $(id).textContent = text; }; // a screen reader says it once
const watch = () => {
  if (!stream) return;
  const inBrowser = $("camera").dataset.how === "browser", dark = brightness() < DARK;
  cues = null;
  if (dark) { looks = []; tell("seen", "It is too dark to see a face: nothing is read."); } else if (!inBrowser) tell("seen", "It is on. One picture goes with each message, if you let it.");
  else {
    const faces = landmarker.detectForVideo(video, performance.now()).faceBlendshapes;
    if (faces.length !== 1) { looks = []; tell("seen", faces.length ? "There are several faces: nothing is read." : "No face is seen: nothing is read."); } else {
      looks = [...looks, Object.fromEntries(faces[0].categories.map((one) => [one.categoryName, one.score]))].slice(-LOOKS);
      const words = looksLike(looks);
      cues = Object.fromEntries(Object.entries(words).filter(([name]) => known.consents.includes(`camera.${name}`)));
      tell("seen", cues.expression ? `Your face looks like: ${cues.expression}. That is a guess.` : "One face is seen.");
    }
  }
  tell("leaving", inBrowser ? (cues && $("sends").checked ? JSON.stringify({ cues }) : "nothing") : $("sends").checked && !dark ? "one picture with each message, to this machine alone" : "nothing");
  setTimeout(watch, 250);
};
const picture = async () => {
  const canvas = $("frame");
  [canvas.width, canvas.height] = [video.videoWidth, video.videoHeight];
  canvas.getContext("2d").drawImage(video, 0, 0);
  return new Promise((done) => canvas.toBlob(done, "image/jpeg", 0.8));
};
const agree = async (jpeg) => {
  $("exact").textContent = jpeg ? `a picture of ${$("frame").width} x ${$("frame").height} points, ${Math.ceil(jpeg.size / 1000)} kB` : JSON.stringify({ cues });
  $("frame").hidden = !jpeg;
  $("first").returnValue = "no"; $("first").showModal();
  await new Promise((done) => { $("first").onclose = done; });
  asked = true;
  $("sends").checked = $("first").returnValue === "yes";
};
const look = async () => { // before a message: what the camera tells leaves only after it was shown and allowed
  const inBrowser = $("camera").dataset.how === "browser";
  if (!stream || (inBrowser && !cues) || (asked && !$("sends").checked) || brightness() < DARK) return;
  const jpeg = inBrowser ? null : await picture(), now = cues;
  if (!asked) await agree(jpeg);
  if (!$("sends").checked) return;
  if (inBrowser) { show(await call("cues", { cues: now })); return; }
  const given = await ask("/assistant/frame", jpeg, { "x-person": person });
  $("seen").textContent = given.seen.faces === "1" ? "Your picture was read and dropped." : given.seen.faces === "0" ? "No face was seen: nothing was read." : "There were several faces: nothing was read.";
  show(given);
};
$("switch").onclick = trying(async () => {
  if (stream) { off(); return; }
  try { await on(); } catch (error) { off(); throw error; }
});
addEventListener("pagehide", off);

if (location.hash === "#forgotten") {
  complain("You are forgotten: nothing of you is left here.");
  history.replaceState(null, "", location.pathname);
}
if (person) call("state").then((state) => { for (const one of state.turns) turn(one.role, one.text); show(state); }, () => leave(""));
else $("begin").hidden = false;
