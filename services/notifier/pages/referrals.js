"use strict";
const NAMED = { ...JSON.parse(byId("counties").textContent), "330800": "市本级",
  "breast": "浙一医院乳腺中心", "head-neck-thyroid": "省人民医院头颈甲状腺外科",
  requested: "已申请", triaged: "已分诊", accepted: "已接收", declined: "未接收", bed_offered: "待确认床位",
  consult_booked: "已约会诊", admitted: "已入院", consulted: "已会诊", completed: "已完成",
  not_completed: "未完成", on_hold: "暂缓", cancelled: "已取消", entered_in_error: "录入有误" };
let asOf = null, attempt = 0;

function cut(title, blocks) {
  const made = element("table"), body = element("tbody");
  made.append(element("caption", title), body);
  for (const block of blocks) {
    const row = element("tr");
    row.append(element("td", block.groups.map((group) => NAMED[group] ?? group).join("、")), element("td", block.people + " 人"));
    body.append(row);
  }
  return made;
}
function cuts(id, population) {
  const none = population ? "暂无 · nobody" : "人数过少，不显示 · too few to be shown";
  byId(id).replaceChildren(...(population?.people
    ? [cut("按县（市、区） By county", population.by_county), cut("按科室 By department", population.by_department),
       cut("按状态 By state", population.by_state)]
    : [element("div", none)]));
}
function draw(board) {
  byId("totals").replaceChildren(
    tile("申请人数", board.people, "people"),
    tile("办理中", board.running?.people, "on their way"),
    tile("已结束", board.ended?.people, "through"),
    tile("等候天数（中位）", board.waited?.p50, "days waited, p50"),
    tile("等候天数（九成）", board.waited?.p90, "days waited, p90"),
    tile("床位过期", board.offers?.lapsed, "offers lapsed"));
  cuts("running", board.running);
  cuts("ended", board.ended);
  byId("least").textContent = board.least;
  byId("board").hidden = false;
}
function say(text, stale) {
  byId("state").textContent = text;
  byId("state").classList.toggle("stale", Boolean(stale));
}
function sayStale() {
  if (asOf) say("数据停留在 " + at(asOf) + " · stale since", true);
}
function hear(block) {
  const field = (name) => block.split(/\r?\n/).filter((line) => line.startsWith(name + ": ")).map((line) => line.slice(name.length + 2)).join("\n");
  if (!field("data")) return;
  const told = JSON.parse(field("data"));
  if (field("event") === "snapshot") draw(told);
  asOf = told.stale_since ?? told.as_of;
  if (told.stale_since) sayStale(); else say("实时 · " + at(asOf));
}
// An EventSource cannot bring a token, so the stream is read by hand.
async function listen(token, mine) {
  const silence = new AbortController();
  let timer;
  const wait = () => { clearTimeout(timer); timer = setTimeout(() => silence.abort(), SILENCE); };
  wait();
  try {
    const answer = await fetch("stream", { headers: { Authorization: "Bearer " + token }, signal: silence.signal });
    if (answer.status === 401 || answer.status === 403) {
      byId("board").hidden = true;
      byId("enter").hidden = false;
      say(answer.status === 401 ? "令牌无效或已过期 · token not valid" : "无权查看 · not allowed", true);
      return;
    }
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
  setTimeout(() => { if (mine === attempt) listen(token, mine); }, RETRY);
}
byId("enter").addEventListener("submit", (event) => {
  event.preventDefault();
  listen(byId("token").value.trim(), ++attempt);
});
