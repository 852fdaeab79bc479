// The demo's phone and mailbox, kept fresh. Without it a reload tells the same.

const all = (selector, root = document) => [...root.querySelectorAll(selector)];

function lines(place, text) {
  place.textContent = "";
  for (const line of text.trim().split("\n")) {
    const bare = line.trim();
    if (/^\d{6,8}$/.test(bare)) {
      const pin = document.createElement("strong");
      pin.className = "pin";
      pin.textContent = bare;
      place.append(pin, "\n");
    } else if (/^https?:\/\/\S+$/.test(line)) {
      const link = document.createElement("a");
      Object.assign(link, { href: line, target: "_blank", rel: "noopener", textContent: line });
      place.append(link, "\n");
    } else {
      place.append(`${line}\n`);
    }
  }
}

function show(messages) {
  for (const list of all("[data-inbox]")) {
    const channel = list.dataset.inbox;
    const mine = messages.filter((message) => message.channel === channel);
    const fresh = mine.length - list.children.length;
    if (fresh === 0) continue;
    list.textContent = "";
    mine.forEach((message, place) => {
      const item = document.getElementById(`${channel}-message`).content.cloneNode(true).firstElementChild;
      item.querySelector("[data-to]").textContent = message.to;
      item.querySelector("[data-at]").textContent = message.at_text;
      const subject = item.querySelector("[data-subject]");
      if (subject) subject.textContent = message.subject;
      lines(item.querySelector("[data-body]"), message.body);
      if (place < fresh) item.classList.add("fresh");
      list.append(item);
    });
  }
}

async function look() {
  if (!document.hidden) {
    try {
      const answer = await fetch("/demo/inbox", { headers: { accept: "application/json" } });
      if (answer.status === 200) {
        const inbox = await answer.json();
        for (const person of inbox.cast) {
          const card = document.querySelector(`[data-person="${CSS.escape(person.user_id)}"]`);
          const code = card?.querySelector("[data-code]");
          if (!code || !person.code) continue;
          code.textContent = `${person.code.slice(0, 3)} ${person.code.slice(3)}`;
          card.querySelector("progress").value = person.seconds_left;
        }
        show(inbox.messages);
      }
    } catch {
      // the portal was stopped; the next round asks again
    }
  }
  setTimeout(look, 2000);
}

setInterval(() => {
  for (const bar of all("progress")) bar.value = Math.max(0, bar.value - 1);
}, 1000);
setTimeout(look, 1000);
