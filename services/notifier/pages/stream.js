"use strict";
// Server-sent events read by hand: an EventSource can bring no token, and gives up on a gateway's 502.
const RETRY = 3000, SILENCE = 40000; // milliseconds; a heartbeat comes every 15 s
let since = null, asOf = null, token = null, attempt = 0;

function at(text) {
  return new Date(text).toLocaleTimeString("zh-CN", { hour12: false, timeZone: "Asia/Shanghai" });
}
function say(text, stale) {
  byId("state").textContent = text;
  byId("state").classList.toggle("stale", Boolean(stale));
}
function sayStale() {
  if (asOf) say("数据停留在 " + at(asOf) + " · stale since", true);
}
function take(event, told, id) {
  if (event === "snapshot" || event === "delta") drawing[event](told);
  since = id ?? told.id ?? since;
  asOf = told.stale_since ?? told.as_of;
  drawing.waiting(told.waiting);
}
function hear(block) {
  const lines = block.split(/\r?\n/), field = (name) => lines.filter((line) => line.startsWith(name + ": "))
    .map((line) => line.slice(name.length + 2)).join("\n") || undefined;
  if (!field("data")) return;
  const told = JSON.parse(field("data"));
  take(field("event"), told, field("id"));
  byId("board").hidden = false;
  if (told.stale_since) sayStale(); else say("实时 · " + at(asOf));
}
function refused(status) {
  byId("board").hidden = true;
  byId("enter").hidden = false;
  say(status === 401 ? "令牌无效或已过期 · token not valid" : "无权查看 · not allowed", true);
}
async function listen(mine) {
  const silence = new AbortController();
  let timer;
  const wait = () => { clearTimeout(timer); timer = setTimeout(() => silence.abort(), SILENCE); };
  wait(); // a line can be dead without anybody telling us, and a computer can sleep
  try {
    const headers = token ? { Authorization: "Bearer " + token } : {};
    const answer = await fetch("stream" + (since ? "?since=" + encodeURIComponent(since) : ""), { headers, signal: silence.signal });
    if (answer.status === 401 || answer.status === 403) return refused(answer.status);
    if (!answer.ok) throw new Error(answer.status);
    byId("enter").hidden = true;
    const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
    for (let text = "", part; !(part = await reader.read()).done;) {
      wait();
      const blocks = (text + part.value).split(/\r?\n\r?\n/);
      text = blocks.pop();
      blocks.forEach(hear);
    }
  } catch { /* the line is gone: below */ } finally { clearTimeout(timer); }
  sayStale();
  setTimeout(() => { if (mine === attempt) listen(mine); }, RETRY);
}
byId("enter").addEventListener("submit", (event) => {
  event.preventDefault();
  token = byId("token").value.trim();
  listen(++attempt);
});
const given = JSON.parse(byId("given").textContent);
if (given) {
  take("snapshot", given);
  listen(attempt);
}
