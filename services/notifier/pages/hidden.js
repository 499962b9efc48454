"use strict";
// A board of people: it comes whole whenever a figure changed, with small groups merged or left out.
function cut(title, blocks) {
  const made = element("table"), body = element("tbody");
  made.append(element("caption", title), body);
  for (const block of blocks) {
    const row = element("tr");
    row.append(element("td", block.groups.map((group) => about.names[group] ?? group).join("、")), element("td", block.people + " 人"));
    body.append(row);
  }
  return made;
}
function cuts(id, population) {
  const none = population ? "暂无 · nobody" : "人数过少，不显示 · too few to be shown";
  byId(id).replaceChildren(...(population?.people
    ? about.cuts.map(({ name, title }) => cut(title, population[name]))
    : [element("div", none)]));
}
const drawing = {
  snapshot(board) {
    byId("totals").replaceChildren(
      tile("申请人数", board.people, "people"),
      ...about.parts.map((part) => tile(part.title, board[part.name]?.people, part.title_en)),
      tile("等候天数（中位）", board.waited?.p50, "days waited, p50"),
      tile("等候天数（九成）", board.waited?.p90, "days waited, p90"),
      ...about.splits.map(({ name, part, title, title_en }) => tile(title, board[name]?.[part], title_en)));
    for (const part of about.parts) cuts(part.name, board[part.name]);
    byId("least").textContent = board.least;
  },
  delta() {},
  waiting() {},
};
