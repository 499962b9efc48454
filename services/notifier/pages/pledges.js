"use strict";
const board = JSON.parse(document.getElementById("board").textContent);
const COLUMNS = ["signed", "withdrawn", "invalidated", "checked_in", "streaks_completed", "members",
                 "milestones", "talks", "observations"];
const places = new Map(), cells = new Map();
let fresh = new Set();

function take(snapshot) {
  cells.clear();
  snapshot.by_county.forEach((row) => places.set(row.code, row));
  put(snapshot.cells);
  fresh.clear();
}
function put(changed) {
  for (const cell of changed) { cells.set(cell.county + cell.day, cell); fresh.add(cell.county).add(cell.day); }
}
function summed(rows) {
  const sum = Object.fromEntries(COLUMNS.map((c) => [c, 0]));
  for (const row of rows) for (const c of COLUMNS) sum[c] += row[c];
  sum.counted = sum.signed - sum.withdrawn - sum.invalidated;
  return sum;
}
function percent(counted, households) {
  const share = households ? 100 * counted / households : 0;
  return share.toFixed(share && share < 1 ? 3 : 2) + "%";
}
function row(key, name, share, note, values) {
  const made = element("tr", undefined, fresh.has(key) ? "fresh" : "");
  const bar = element("td", undefined, "bar"), line = element("i");
  line.style.setProperty("--share", Math.min(100, 100 * share) + "%");
  if (note) bar.append(element("small", note));
  bar.append(line);
  made.append(element("td", name), bar, ...values.map((value) => element("td", number.format(value))));
  return made;
}
function fill(id, rows) {
  const heads = [...byId(id).closest("table").querySelectorAll("th")].map((head) => head.textContent);
  for (const made of rows) heads.forEach((head, i) => { if (i > 1) made.cells[i].dataset.label = head; });
  byId(id).replaceChildren(...rows);
}
function draw() {
  const all = [...cells.values()], sum = summed(all), city = board.totals.households;
  byId("totals").replaceChildren(
    tile("有效承诺", number.format(sum.counted), "户 counted", true),
    tile("覆盖率", percent(sum.counted, city), "coverage", true),
    tile("参与人数", number.format(sum.members), "members"),
    tile("打卡", number.format(sum.checked_in), "check-ins"),
    tile("坚持达成", number.format(sum.streaks_completed), "streaks"),
    tile("里程碑", number.format(sum.milestones), "milestones"),
    tile("线上宣讲", number.format(sum.talks), "talks"),
    tile("观察", number.format(sum.observations), "observations"));
  for (const cell of all) if (!places.has(cell.county))
    places.set(cell.county, { code: cell.county, name: cell.county === "330800" ? "市本级" : cell.county, households: 0 });
  const counties = [...places.values()].map((place) =>
    ({ ...place, ...summed(all.filter((cell) => cell.county === place.code)) }));
  fill("counties", counties.map((c) => row(
    c.code, c.name, c.households ? c.counted / c.households : 0,
    c.households ? percent(c.counted, c.households) + " · 约 " + number.format(c.households) + " 户" : "",
    [c.counted, c.signed, c.withdrawn, c.invalidated, c.members, c.checked_in, c.streaks_completed])));
  const days = [...new Set(all.map((cell) => cell.day))].sort().reverse()
    .map((day) => ({ day, ...summed(all.filter((cell) => cell.day === day)) }));
  const most = Math.max(1, ...days.map((d) => d.signed));
  fill("days", days.map((d) => row(d.day, d.day, d.signed / most, "", // as against the busiest day, says the head
    [d.signed, d.withdrawn, d.invalidated, d.checked_in, d.milestones, d.talks, d.observations])));
  fresh = new Set();
}
let connected = false, state = board, since = board.id, stream, heardAt;
function showState() {
  const stale = state.stale_since || (connected ? null : state.as_of), shown = byId("state");
  shown.classList.toggle("stale", Boolean(stale));
  shown.textContent = stale ? "数据停留在 " + at(stale) + " · stale since" : "实时 · " + at(state.as_of);
  byId("waiting").textContent = state.waiting ? "待处理事件 " + state.waiting + " 条，未计入。" : "";
}
function heard(event) {
  state = JSON.parse(event.data);
  since = event.lastEventId || since;
  connected = true;
  heardAt = Date.now();
  showState();
  return state;
}
function connect() {
  heardAt = Date.now();
  const opened = stream = new EventSource("stream?since=" + encodeURIComponent(since));
  stream.addEventListener("snapshot", (event) => { take(heard(event)); draw(); });
  stream.addEventListener("delta", (event) => { put(heard(event).cells); draw(); });
  stream.addEventListener("heartbeat", heard);
  stream.onerror = () => {
    connected = false;
    showState();
    // The browser tries again by itself, but not after an answer that is none, such as a gateway's 502.
    if (opened.readyState === EventSource.CLOSED) setTimeout(connect, RETRY);
  };
}
function checkSilence() { // a line can be dead without anybody telling us, and a computer can sleep
  if (Date.now() - heardAt < SILENCE) return;
  connected = false;
  showState();
  stream.close();
  connect();
}

take(board); draw(); connect();
setInterval(checkSilence, 5000);
setTimeout(() => { if (!connected) showState(); }, 3000);
