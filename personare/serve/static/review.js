// The rating page: shows one question at a time, plays what can be heard and seen, sends each answer until it is stored.
(function () {
  "use strict";
  const page = document.getElementById("review");
  const { rater, task } = page.dataset;
  const at = (id) => document.getElementById(id);
  const all = (selector, within = page) => [...within.querySelectorAll(selector)];
  const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
  const DOUBLE_PRESS_MS = 200; // nobody judges an item in less: what comes sooner was meant for the one before
  let question = null, shown = 0, plays = 0, queue = [], unsent = false, busy = true;
  let answers = 0, spent = 0; // since this page was opened, for the time that is left

  const say = (text) => { if (at("message").textContent !== text) at("message").textContent = text; };

  // Drawing: elements only, never markup, since texts of a cohort are shown.
  const make = (tag, attributes = {}, ...children) => {
    const drawn = tag === "svg" || tag === "path";
    const element = drawn ? document.createElementNS("http://www.w3.org/2000/svg", tag) : document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
    element.append(...children.filter(Boolean));
    return element;
  };
  const plot = (line, { seconds, start = 0 }) => {
    const box = { viewBox: "0 0 400 100", preserveAspectRatio: "none", role: "img", "aria-label": line.words };
    const curve = make("path", { d: line.path, "stroke-width": line.width || 1.2 });
    const head = seconds && make("i", { class: "head", "data-start": start, "data-seconds": seconds });
    return make("div", { class: "plot" }, make("svg", box, curve), head);
  };
  const small = (text) => make("p", { class: "small" }, text);
  const draw = {
    audio: (piece) => make("audio", { src: piece.source, preload: "auto" }),
    video: (piece) => make("video", { src: piece.source, preload: "auto", playsinline: "", "aria-label": "film" }),
    wave: (piece) => plot({ path: piece.path, words: "waveform of the sound" }, piece),
    lines: (piece) => make("figure", {}, make("figcaption", { class: "small" }, piece.track),
      ...piece.lines.flatMap((line) => [small(line.words), plot(line, piece)])),
    text: (piece) => make("blockquote", {}, piece.text),
    image: (piece) => make("figure", {}, make("figcaption", { class: "small" }, piece.track),
      make("img", { src: piece.source, alt: piece.track })),
    visits: (piece) => make("ol", { class: "visits" }, ...piece.visits.map((visit, n) => {
      const place = n ? `about day ${visit.day}, after ${visit.after}` : "first visit";
      const codes = Object.entries(visit.codes).map(([kind, names]) => small(`${kind}: ${names.join(", ")}`));
      const item = make("li", {}, make("b", {}, visit.type), make("span", { class: "small" }, ` ${place}; stay ${visit.lasted}`), ...codes);
      if (n) item.style.marginTop = `${Math.log10(1 + visit.day - piece.visits[n - 1].day) / 2}em`; // a longer gap for a longer time
      return item;
    })),
  };

  // Playing: the sound and film of one item in step, one item after another.
  const media = (side) => all(side ? `[data-side=${side}] audio, [data-side=${side}] video` : "audio, video");
  const pause = () => media().forEach((one) => one.pause());
  function move(side) {
    const [first, ...others] = media(side);
    for (const one of others) if (Math.abs(one.currentTime - first.currentTime) > 0.1) one.currentTime = first.currentTime;
    for (const head of all(`[data-side=${side}] .head`)) {
      const share = (first.currentTime - head.dataset.start) / head.dataset.seconds;
      head.style.left = `${100 * Math.min(1, Math.max(0, share))}%`;
    }
    if (!first.paused && first.isConnected) setTimeout(() => requestAnimationFrame(() => move(side)), still ? 500 : 0);
  }
  function play(side) {
    pause();
    for (const one of media(side)) one.play().catch((error) => { if (error.name !== "AbortError") silent(one); });
    move(side);
  }
  function start(side) {
    media(side).forEach((one) => { one.currentTime = 0; });
    plays += 1;
    play(side);
  }
  function toggle() {
    const begun = media().find((one) => one.currentTime > 0 && !one.ended);
    if (media().some((one) => !one.paused)) pause();
    else if (begun) play(begun.closest("[data-side]").dataset.side);
    else {
      queue = all("[data-side]").map((card) => card.dataset.side).filter((side) => media(side).length);
      if (queue.length) start(queue.shift());
    }
  }
  function ended(side) { if (!media(side).some((one) => !one.ended) && queue.length) start(queue.shift()); }
  async function silent(one) {
    const reply = await fetch(one.src, { headers: { accept: "application/json" } }).catch(() => null);
    const refusal = reply?.status === 400 ? await reply.json() : {};
    say(refusal.error || "This browser cannot play what belongs to this item. Where you need it to judge, answer 'cannot tell'.");
  }
  async function listen() { // only Chromium lists loudspeakers to a page that did not ask for a microphone
    if (!navigator.userAgentData || !navigator.mediaDevices) return;
    const outputs = (await navigator.mediaDevices.enumerateDevices()).filter((device) => device.kind === "audiooutput");
    if (!outputs.length) at("silent").hidden = false;
  }

  // Showing one question.
  function card(side, pieces, alone) {
    const name = alone ? "" : side.toUpperCase();
    const shown = pieces.map((piece) => draw[piece.kind]?.(piece));
    const header = make("header", {}, make("h2", {}, name));
    const section = make("section", { class: "card item", "data-side": side, "aria-label": name || "The recording" }, header, ...shown);
    const sounding = all("audio, video", section);
    for (const one of sounding) {
      one.addEventListener("error", () => silent(one));
      one.addEventListener("ended", () => ended(side));
    }
    if (sounding.length) {
      const button = make("button", { type: "button", class: "plain" }, `Play ${name}`.trim());
      button.addEventListener("click", () => { queue = []; start(side); });
      header.append(button);
    }
    return section;
  }
  function show(reply) {
    question = reply.question;
    const items = question ? Object.entries(question.items) : [];
    at("items").replaceChildren(...items.map(([side, pieces]) => card(side, pieces, items.length === 1)));
    for (const [side] of items) media(side).length ? move(side) : all(`[data-side=${side}] .head`).forEach((head) => head.remove());
    at("failures").replaceChildren(...(question ? question.failures : []).map((words, n) =>
      make("label", { class: "tick" }, make("input", { type: "checkbox", value: words, "data-keys": n + 1 }), make("kbd", {}, `${n + 1}`), words)));
    at("which").replaceChildren(make("legend", {}, "Which one?"), ...items.map(([side]) =>
      make("label", { class: "tick" }, make("input", { type: "radio", name: "side", value: side, required: "", ...(items.length < 2 && { checked: "" }) }), side.toUpperCase())));
    at("which").hidden = items.length < 2;
    at("note").value = "";
    for (const part of all(".asked")) part.hidden = !question;
    at("wrong").hidden = !question?.failures.length;
    at("play").hidden = !media().length;
    at("done").textContent = question ? "" : reply.done;
    const minutes = Math.max(1, Math.round(((reply.about - reply.answered) * spent) / answers / 60));
    at("progress").textContent = `${reply.answered} of about ${reply.about} answered${answers > 2 ? `, about ${minutes} min left` : ""}`;
    [shown, plays, queue] = [performance.now(), 0, []];
    page.dataset.token = question ? question.token : "";
    at("ask").focus();
    setTimeout(() => hold(false), DOUBLE_PRESS_MS);
  }
  function hold(state) {
    busy = state;
    page.setAttribute("aria-busy", state);
    for (const button of all("[data-answer], #undo, #alarm")) button.disabled = state;
  }

  // Sending: what is not stored is sent again; a question's token makes sure that it counts once.
  const csrf = document.querySelector("meta[name=csrf]");
  async function send(name, body) {
    const headers = { "content-type": "application/json", "X-CSRF": csrf.content };
    const reply = await fetch(`/review/${name}`, { method: "POST", headers, body: JSON.stringify({ rater, task, ...body }) });
    return { status: reply.status, ...(await reply.json()) };
  }
  async function renew() { // a server that was started anew has another token against forgery: take it from its page
    const fresh = new DOMParser().parseFromString(await (await fetch(location.href)).text(), "text/html");
    csrf.content = fresh.querySelector("meta[name=csrf]").content;
  }
  async function stored(name, body) {
    const kept = name === "answer" ? " Your answer is kept on this page and sent as soon as it can be." : "";
    hold(true);
    for (let wait = 500; ; wait = Math.min(2 * wait, 4000)) {
      try {
        const reply = await send(name, body);
        if (reply.status < 500 && reply.status !== 401 && reply.status !== 403) return reply;
        say(reply.error + kept);
        if (reply.status === 403) await renew();
      } catch {
        say(`The server does not answer. Start 'personare review' again with --port ${location.port}.${kept}`);
      }
      await new Promise((done) => setTimeout(done, wait));
    }
  }
  async function next(words) {
    const reply = await stored("next", {});
    say(reply.error || words);
    if (!reply.error) show(reply);
  }
  async function answer(value) {
    if (!question || busy) return;
    const seconds = (performance.now() - shown) / 1000;
    const failures = all("input:checked", at("failures")).map((box) => box.value);
    unsent = true;
    const reply = await stored("answer", { token: question.token, answer: value, failures, note: at("note").value, plays, seconds });
    unsent = false;
    if (reply.error) return next(reply.error);
    [answers, spent] = [answers + 1, spent + seconds];
    say(reply.again ? "This question was answered already; that answer counts, once." : "");
    show(reply);
  }
  async function once(name, body, words) { // not sent again by itself: twice is not the same as once
    hold(true);
    const reply = await send(name, body).catch(() => ({ error: "The server does not answer. Try again when it is back." }));
    say(reply.error || words);
    if (reply.error) hold(false);
    else show(reply);
  }

  for (const button of all("[data-answer]")) button.addEventListener("click", () => answer(button.dataset.answer));
  at("undo").addEventListener("click", () => once("undo", {}, "Your last answer no longer counts. Here is its question again."));
  at("play").addEventListener("click", toggle);
  at("help").addEventListener("click", () => at("keys").showModal());
  at("alarm").addEventListener("click", () => { pause(); at("sure").showModal(); });
  at("sure").addEventListener("close", () => {
    const side = new FormData(at("sure").querySelector("form")).get("side");
    if (at("sure").returnValue === "yes") once("alarm", { token: question.token, side, note: at("why").value }, "The item is out of the release, and will be shown to nobody again.");
    at("sure").returnValue = at("why").value = "";
  });
  document.addEventListener("keydown", (event) => {
    if (!at("shortcuts").checked || event.repeat || event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
    if (event.target.matches("textarea")) {
      if (event.key === "Escape") at("ask").focus();
      return;
    }
    if (event.key === " " && event.target.matches("button, input, a, summary")) return;
    const key = event.key === " " ? "Space" : event.key.length === 1 ? event.key.toLowerCase() : event.key;
    const target = all("[data-keys]").find((one) => one.dataset.keys.split(" ").includes(key) && !one.closest("[hidden]"));
    if (!target) return;
    event.preventDefault();
    target.click();
  });
  addEventListener("beforeunload", (event) => { if (unsent) event.preventDefault(); });
  listen();
  next("");
})();
