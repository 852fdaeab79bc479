// What pages gain from a script. Each page does its whole work without it.
// Trusted Types are on: text is set by textContent alone, and there is no innerHTML anywhere.
// Every sentence stands in the page already, translated; the script only shows, hides and fills in figures.

const all = (selector, root = document) => [...root.querySelectorAll(selector)];
const now = () => performance.now() / 1000;

// ---- saying things to screen readers, politely ----

const live = document.createElement("p");
live.className = "sr";
live.setAttribute("role", "status");
document.querySelector("main").append(live);

function say(text) {
  live.textContent = "";
  setTimeout(() => { live.textContent = text; }, 50); // an emptied region makes the same words count as new
}

// ---- a button that was pressed shows it, and a second press does no harm ----

const pressed = new Set();

function release(form) {
  pressed.delete(form);
  for (const button of all(".busy", form)) {
    button.classList.remove("busy");
    button.removeAttribute("aria-disabled");
  }
}

document.addEventListener("submit", (event) => {
  const form = event.target;
  const button = event.submitter ?? form.querySelector("button");
  if (pressed.has(form) || button?.getAttribute("aria-disabled") === "true") {
    event.preventDefault();
    return;
  }
  if (form.method !== "post") return;
  pressed.add(form);
  button?.classList.add("busy");
  button?.setAttribute("aria-disabled", "true");
  // the reader stopped the page, or it never came; where a file is saved the page stays
  setTimeout(release, "saves" in form.dataset || "saves" in (button?.dataset ?? {}) ? 1500 : 10000, form);
});

addEventListener("pageshow", (event) => {
  if (!event.persisted) return; // only a page that comes back from memory was left with a pressed button
  [...pressed].forEach(release);
  if (poll) location.reload(); // how a delivery stands, and its clocks, are old by now
});

// ---- passwords: show and hide, Caps Lock ----

for (const form of all("form[data-show]")) {
  const words = { show: form.dataset.show.split("|"), hide: form.dataset.hide.split("|") };
  for (const input of all(".secret input", form)) {
    const button = document.createElement("button");
    button.type = "button";
    const put = (key) => {
      [button.textContent] = words[key];
      button.setAttribute("aria-label", words[key][1]);
    };
    put("show");
    button.addEventListener("click", () => {
      const hidden = input.type === "password";
      input.type = hidden ? "text" : "password";
      put(hidden ? "hide" : "show");
    });
    input.after(button);
    form.addEventListener("submit", () => { input.type = "password"; }); // else browsers may remember it as plain text

    const hint = document.getElementById(`${input.id}-caps`);
    const look = (event) => {
      const on = event.getModifierState?.("CapsLock") ?? false;
      const text = on ? form.dataset.caps : "";
      if (hint.textContent !== text) hint.textContent = text;
    };
    input.addEventListener("keydown", look);
    input.addEventListener("keyup", look);
    input.addEventListener("blur", () => { hint.textContent = ""; });
  }
}

// ---- the list of rules ticks as one types; only the server decides ----

const rules = document.getElementById("rules");
if (rules) {
  const wanted = document.getElementById("new_password");
  const again = document.getElementById("confirm_password");
  const spaced = (text) => text.replace(/\p{Zs}/gu, " ").normalize("NFC"); // as the server reads it
  const kinds = [/\p{Ll}/u, /\p{Lu}/u, /\p{Nd}/u];
  const judges = {
    min_length: (text, item) => [...text].length >= Number(item.dataset.count),
    max_length: (text, item) => text !== "" && [...text].length <= Number(item.dataset.count),
    classes: (text, item) => new Set([...text].map((c) => kinds.findIndex((kind) => kind.test(c)))).size >= Number(item.dataset.count),
    confirm: (text) => text !== "" && text === spaced(again.value),
  };
  const items = all("[data-live]", rules).filter((item) => item.dataset.rule in judges);
  const marks = new Map(items.map((item) => {
    const mark = document.createElement("span");
    mark.className = "sr";
    item.append(mark);
    return [item, mark];
  }));
  rules.classList.add("live");
  let timer = 0;
  const judge = () => {
    const text = spaced(wanted.value);
    let met = 0;
    for (const item of items) {
      const good = judges[item.dataset.rule](text, item);
      item.classList.toggle("met", good);
      marks.get(item).textContent = ` (${good ? rules.dataset.met : rules.dataset.unmet})`;
      met += good;
    }
    return met;
  };
  const typed = () => {
    const met = judge();
    clearTimeout(timer);
    timer = setTimeout(() => {
      say(rules.dataset.summary.replace("{n}", met).replace("{all}", items.length));
    }, 1200);
  };
  wanted.addEventListener("input", typed);
  again.addEventListener("input", typed);
  judge();
}

// ---- clocks that run down: [data-wait] holds what is shown while it runs, and after ----

const figures = (seconds) => {
  const two = (n) => String(n).padStart(2, "0");
  const [h, m, s] = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60, seconds % 60];
  return h ? `${h}:${two(m)}:${two(s)}` : `${m}:${two(s)}`;
};

const clocks = new Map();

class Clock {
  constructor(place) {
    this.place = place;
    this.figure = place.querySelector("[data-clock]");
    this.button = place.querySelector("button");
    this.ends = 0;
    this.over = null;
    this.set(Number(this.figure?.dataset.clock ?? 0));
  }

  set(seconds) {
    const ends = now() + seconds;
    if (Math.abs(ends - this.ends) < 1.5 && this.over !== null) return; // the network's jitter, not news
    this.ends = ends;
    this.warned = seconds <= 60;
    this.show(Math.max(0, seconds), this.over === null);
  }

  tick() {
    if (!this.over) this.show(Math.max(0, Math.ceil(this.ends - now())), false);
  }

  show(left, first) {
    const over = left <= 0;
    if (this.figure && (!over || first)) this.figure.textContent = figures(left);
    const minute = this.place.querySelector("[data-minute]");
    if (minute && !this.warned && left <= 60) {
      this.warned = true;
      say(minute.textContent);
    }
    if (over === this.over) return;
    this.over = over;
    for (const part of all("[data-while]", this.place)) part.hidden = over;
    for (const part of all("[data-after]", this.place)) part.hidden = !over;
    if (this.button && !this.button.classList.contains("busy")) {
      if (over) this.button.removeAttribute("aria-disabled");
      else this.button.setAttribute("aria-disabled", "true");
    }
    if (over && !first) {
      say(this.place.querySelector("[data-after]").textContent);
      if (this.place.dataset.wait === "expiry") stale();
    }
  }
}

// The PIN ran out or was not delivered while one looked. What to do about it comes first now, as the server prints it.
function promote(section) {
  const button = section?.querySelector("button");
  if (!section) return;
  document.getElementById("pin-state").after(section);
  if (!button) return;
  button.classList.remove("second");
  document.querySelector("#enter button")?.classList.add("second");
}

function stale() {
  const again = document.getElementById("again");
  if (!again) return;
  const [before, after] = all("h2 span", again);
  before.hidden = true;
  after.hidden = false;
  promote(again);
}

for (const place of all("[data-wait]")) clocks.set(place.dataset.wait, new Clock(place));
if (clocks.size) setInterval(() => clocks.forEach((clock) => clock.tick()), 250);

// ---- the PIN that tells the truth: how its delivery stands ----

const state = document.querySelector("[data-poll]");
const poll = state && { since: now(), timer: 0, busy: false, over: false };

function delivered(news) {
  if (news.state === state.dataset.state) return;
  if (state.dataset.then === "reload") {
    location.reload(); // the page says more than whether it arrived
    return;
  }
  state.dataset.state = news.state;
  const shown = all("[data-when]").filter((words) => {
    words.hidden = words.dataset.when !== news.state;
    return !words.hidden;
  });
  if (news.state === "delivered" || news.state === "failed") say(shown.map((words) => words.textContent).join(". "));
  if (news.state === "failed") promote(document.getElementById("other"));
}

async function ask() {
  clearTimeout(poll.timer);
  if (poll.busy || poll.over || document.hidden) return;
  poll.busy = true;
  try {
    const answer = await fetch(state.dataset.poll, { headers: { accept: "application/json" }, redirect: "error" });
    if (answer.status === 200) {
      const news = await answer.json();
      delivered(news);
      clocks.get("resend")?.set(news.resend_in);
      clocks.get("expiry")?.set(news.expires_in);
      for (const place of all("[data-tries]", state)) place.textContent = news.tries_left;
      for (const place of all("#pin-hint [data-destination]")) {
        place.textContent = news.destination;
        place.dataset.destination = news.destination;
      }
    } else {
      poll.over = true;
    }
  } catch {
    // the network is away for a moment; the next round asks again
  }
  poll.busy = false;
  if (!poll.over) poll.timer = setTimeout(ask, now() - poll.since < 60 ? 2000 : 5000);
}

if (poll) {
  poll.timer = setTimeout(ask, 2000);
  document.addEventListener("visibilitychange", ask);
}

// ---- copying ----

for (const place of all("[data-copy]")) {
  const button = document.createElement("button");
  button.type = "button";
  button.className = "second copy";
  const [label, done] = place.dataset.copy.split("|");
  button.textContent = label;
  const [name] = place.labels ?? [];
  if (name) { // of several buttons each says what it copies
    [name.id, button.id] = [`${place.id}-name`, `${place.id}-copy`];
    button.setAttribute("aria-labelledby", `${button.id} ${name.id}`);
  }
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(place.textContent.replace(/\s/g, ""));
    } catch {
      place.focus?.(); // no right to the clipboard: a field is marked, other text can still be marked by hand
      place.select?.();
      return;
    }
    button.textContent = done;
    say(done);
    setTimeout(() => { button.textContent = label; }, 2000);
  });
  place.after(button);
}

// ---- exact times in the reader's own zone ----

for (const place of all("time[datetime]")) {
  const local = new Date(place.dateTime).toLocaleString(document.documentElement.lang, { dateStyle: "long", timeStyle: "short", hourCycle: "h23" });
  if (place.title) place.title = local;
  if ("exact" in place.dataset) place.textContent = local;
  if ("clock" in place.dataset) place.textContent = new Date(place.dateTime).toLocaleTimeString(document.documentElement.lang, { hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
}

// ---- menus of rows: a button and a popover; without a script, or where there are none, a <details> ----

for (const menu of "popover" in HTMLElement.prototype ? all("details.menu") : []) {
  const [summary, list] = menu.children;
  const button = document.createElement("button");
  button.type = "button";
  button.className = "dots";
  button.setAttribute("aria-label", summary.getAttribute("aria-label"));
  button.setAttribute("aria-expanded", "false");
  button.append(...summary.children);
  button.popoverTargetElement = list;
  list.popover = "auto"; // closes by Escape and by a press elsewhere, and gives the focus back
  const place = document.createElement("div");
  place.className = "menu";
  place.append(button, list);
  menu.replaceWith(place);
  list.addEventListener("beforetoggle", (event) => {
    const box = button.getBoundingClientRect();
    list.style.top = `${box.bottom + scrollY + 2}px`;
    list.style.right = `${document.documentElement.clientWidth - box.right}px`;
    button.setAttribute("aria-expanded", String(event.newState === "open"));
  });
  list.addEventListener("focusout", (event) => { // left by Tab: it would cover what comes next
    if (event.relatedTarget && !place.contains(event.relatedTarget)) list.hidePopover();
  });
  addEventListener("resize", () => list.hidePopover());
}

// ---- the end of a session that is not used: told two minutes before, put off by one press ----

const idle = document.getElementById("idle");
if (idle) {
  const form = idle.querySelector("form");
  const left = idle.querySelector("[data-left]");
  const button = idle.querySelector("button");
  const tabs = new BroadcastChannel("idle"); // another tab of this site that was used puts the end off as well
  const clock = () => Date.now() / 1000; // not performance.now: it may stand still while the machine sleeps
  const close = idle.querySelector("[data-close]");
  let ends = 0;
  let last = false; // the end can be put off no more

  const show = (name, shown) => { idle.querySelector(`[data-${name}]`).hidden = !shown; };
  const put = (until) => {
    if (until < ends) return;
    ends = until;
    if (ends - clock() > 120 && idle.open) idle.close();
  };
  const look = () => {
    const seconds = Math.ceil(ends - clock());
    if (seconds <= 0) {
      location.replace(idle.dataset.end);
      return;
    }
    left.textContent = figures(seconds);
    if (seconds <= 120 && !idle.open && !last) idle.showModal();
  };
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    show("failed", false);
    try {
      const answer = await fetch(form.action, { method: "POST", body: new URLSearchParams(new FormData(form)) });
      if (answer.status === 409) ends = 0;
      if (answer.ok) {
        const until = clock() + (await answer.json()).idle_in;
        if (until <= ends + 1) {
          last = true; // eight hours are over
          show("last", true);
          show("close", true);
          button.hidden = true;
          close.focus();
        } else {
          put(until);
          tabs.postMessage(until);
        }
      } else if (answer.status !== 409) {
        show("failed", true);
      }
    } catch {
      show("failed", true); // the network is away: the button is free for another press
    }
    release(form);
  });
  idle.addEventListener("cancel", (event) => { // Escape means the same as the button: it is no way to lose the warning
    if (last) return;
    event.preventDefault();
    form.requestSubmit();
  });
  close.addEventListener("click", () => idle.close());
  tabs.addEventListener("message", (event) => put(event.data));
  put(clock() + Number(idle.dataset.idle));
  tabs.postMessage(ends);
  setInterval(look, 1000);
  document.addEventListener("visibilitychange", look);
}

// ---- an import: one batch after the other, without a press for each ----

const import_ = document.querySelector("[data-goes-on]");
if (import_) {
  const bar = import_.querySelector("progress");
  const taken = import_.querySelector("[data-taken]");
  import_.addEventListener("submit", async (event) => {
    event.preventDefault();
    const body = new URLSearchParams(new FormData(import_));
    try {
      for (let done = false; !done;) {
        const answer = await fetch(import_.action, { method: "POST", body, redirect: "manual" });
        if (answer.type !== "opaqueredirect") {
          import_.submit(); // a page that says why not, to be seen
          return;
        }
        const news = await (await fetch(import_.dataset.goesOn, { redirect: "error" })).json();
        bar.value = news.taken;
        taken.textContent = news.taken;
        done = news.done;
      }
    } catch {
      // the network is away for a moment; the page tells how far it is
    }
    location.reload();
  });
}
