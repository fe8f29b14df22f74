/*
 * A small feedback widget. Options:
 *   api       the URL of the product's API
 *   app       the query parameters that name the customer's app
 *   tokenIn   "header" or "body": the location of the token
 *   getToken  a function that fetches a new token from the page's backend
 */
"use strict";

async function feedbackWidget({ api, app, tokenIn, getToken }) {
  const url = (path) => `${api}${path}?${new URLSearchParams(app)}`;
  const pause = (milliseconds) => new Promise((done) => setTimeout(done, milliseconds));

  // --- may it render on this page? A blocked page cannot read the response: its fetch rejects.

  const allowed = await fetch(url("/widget/allowed")).catch(() => null);
  if (!allowed?.ok) {
    const why = allowed ? await refusalIn(allowed) : "this origin is not allowed, or the API is not reachable";
    console.warn(`Feedback widget: nothing is shown on ${location.origin} (${why}).`);
    return;
  }

  // --- the token: renewed before it expires, and once more if a request was answered with 401

  let token = null;
  let timer = null;
  let renewing = null;

  function renew() {
    renewing ??= fetchToken().finally(() => (renewing = null));
    return renewing;
  }

  async function fetchToken() {
    token = await getToken();
    const { exp, iat } = JSON.parse(atob(token.split(".")[1].replaceAll("-", "+").replaceAll("_", "/")));
    clearTimeout(timer);
    // Use the token's lifetime if it has iat: the clock of this machine may be wrong.
    const seconds = exp ? exp - (iat ?? Date.now() / 1000) : 3600;
    // At most once a second, and within the longest delay of setTimeout.
    const wait = Math.min(Math.max(seconds * 800, 1000), 2 ** 31 - 1);
    timer = setTimeout(() => renew().catch(console.warn), wait);
  }

  // --- requests

  function send(path, content) {
    const headers = { "Content-Type": "application/json" };
    if (tokenIn === "header") headers["X-Userz-User-Token"] = token;
    else content = { ...app, widgetToken: token, ...content };
    return fetch(url(path), { method: "POST", headers, body: JSON.stringify(content) });
  }

  async function call(path, content = {}) {
    let answer = await send(path, content);
    if (answer.status === 401) {
      await renew();
      answer = await send(path, content);
    }
    if (!answer.ok) throw new Error(await refusalIn(answer));
    return answer;
  }

  /** The status, code and reason of a refusal: problem+json, or Userz's format with the code in the challenge. */
  async function refusalIn(answer) {
    const { error, reason } = await answer.json().catch(() => ({}));
    const challenge = /error="(\w+)"/.exec(answer.headers.get("WWW-Authenticate"));
    const [code, why] = error?.code ? [challenge?.[1], error.code] : [error, reason];
    return [answer.status, code, why].filter(Boolean).join(" ");
  }

  // --- live connections: when the token expires, they are opened again with the next one

  async function always(open) {
    for (;;) {
      const used = token;
      const ended = await open().catch(() => false);
      await pause(ended ? 100 : 5000);
      if (token === used) await renew().catch(console.warn);
    }
  }

  /** Resolves to true if the API closed it because its token expired. Browsers let no page set a header here. */
  function live() {
    return new Promise((done) => {
      const socket = new WebSocket(url("/widget/live").replace("http", "ws"), ["bearer", token]);
      socket.onopen = () => panel.live(true);
      socket.onclose = ({ code }) => {
        panel.live(false);
        done(code === 4401);
      };
    });
  }

  /** Server-sent events read by fetch: an EventSource can carry the token only in the URL. */
  async function count() {
    const reader = (await call("/widget/count")).body.pipeThrough(new TextDecoderStream()).getReader();
    let rest = "";
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return true;
      const events = (rest + value).split("\n\n");
      rest = events.pop();
      if (events.length) panel.count(events.at(-1).replace("data: ", ""));
    }
  }

  // --- on the page

  const panel = show(async (text) => {
    await call("/widget/feedback", { text });
  });

  // The page is closed with a draft. A beacon has no headers and is text/plain: everything is in its body.
  addEventListener("pagehide", () => {
    const text = panel.draft();
    if (text) navigator.sendBeacon(url("/widget/draft"), JSON.stringify({ ...app, widgetToken: token, text }));
  });

  try {
    await renew();
    const { user, attributes } = await (await call("/widget/me")).json();
    panel.user(attributes.name ?? user);
    always(live);
    always(count);
  } catch (error) {
    panel.say(error.message, "refused");
  }

  function show(submit) {
    const host = document.createElement("feedback-widget");
    const root = host.attachShadow({ mode: "open" });
    root.innerHTML = `
      <style>
        form { position: fixed; right: 24px; bottom: 24px; width: 300px; box-sizing: border-box; padding: 18px;
               display: grid; gap: 10px; color: #1d2733; background: #fff; border-radius: 14px;
               box-shadow: 0 12px 40px rgb(29 39 51 / 18%); font: 14px/1.45 system-ui, sans-serif; }
        header { display: flex; justify-content: space-between; font-size: 16px; font-weight: 600; }
        .live { color: #98a1ad; font-size: 12px; font-weight: 400; }
        .live.on { color: #1a8754; }
        .user, .count { color: #66707d; font-size: 13px; }
        textarea, button { font: inherit; border-radius: 9px; }
        textarea { height: 74px; padding: 9px 11px; border: 1px solid #d5dae1; resize: none; }
        button { padding: 9px; color: #fff; background: #3355dd; border: 0; cursor: pointer; }
        output:empty { display: none; }
        output { padding: 8px 11px; color: #14633f; background: #e7f5ee; border-radius: 9px; }
        output.refused { color: #9b2226; background: #fdecec; }
      </style>
      <form>
        <header>Feedback <span class="live">○ offline</span></header>
        <span class="user">Not signed in</span>
        <textarea placeholder="What could be better?" aria-label="Your feedback" required></textarea>
        <button>Send</button>
        <output></output>
        <span class="count"></span>
      </form>`;
    document.body.append(host);
    const find = (selector) => root.querySelector(selector);
    const say = (text, kind = "") => Object.assign(find("output"), { textContent: text, className: kind });
    find("form").onsubmit = async (event) => {
      event.preventDefault();
      try {
        await submit(find("textarea").value);
        find("textarea").value = "";
        say("Thank you!");
      } catch (error) {
        say(error.message, "refused");
      }
    };
    return {
      say,
      draft: () => find("textarea").value,
      user: (name) => (find(".user").textContent = `Signed in as ${name}`),
      count: (number) => (find(".count").textContent = `Messages so far: ${number}`),
      live: (on) => Object.assign(find(".live"), { textContent: on ? "● live" : "○ offline", className: `live ${on ? "on" : ""}` }),
    };
  }
}
