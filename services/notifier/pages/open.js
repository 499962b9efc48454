"use strict";
// A board by county and day: cells are kept and summed here, so that a delta is all that has to come.
const places = new Map(), cells = new Map(), column = Object.fromEntries(about.columns.map((c) => [c.name, c]));
let fresh = new Set(), units = [];

function keep(changed) {
  for (const cell of changed) { cells.set(cell.county + cell.day, cell); fresh.add(cell.county).add(cell.day); }
}
function summed(rows) {
  const sum = Object.fromEntries(about.columns.map((c) => [c.name, 0]));
  for (const row of rows) for (const c of about.columns) if (!c.derived) sum[c.name] += row[c.name];
  for (const c of about.columns) for (const [of, factor] of Object.entries(c.derived ?? {})) sum[c.name] += factor * sum[of];
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
function heads(id, first, bar, columns) {
  const made = element("tr");
  made.append(...[first, bar, ...columns.map((name) => column[name].title)].map((title) => element("th", title)));
  byId(id).replaceChildren(made);
}
function fill(id, rows) {
  const titles = [...byId(id).closest("table").querySelectorAll("th")].map((head) => head.textContent);
  for (const made of rows) titles.forEach((title, i) => { if (i > 1) made.cells[i].dataset.label = title; });
  byId(id).replaceChildren(...rows);
}
function totals(sum) {
  const made = about.tiles.map((name, i) => tile(column[name].title, number.format(sum[name]), column[name].title_en, !i));
  if (about.covers) made.splice(1, 0, tile("覆盖率", percent(sum[about.covers], about.households), "coverage", true));
  byId("totals").replaceChildren(...made);
}
function counties(all) {
  for (const cell of all) if (!places.has(cell.county))
    places.set(cell.county, { code: cell.county, name: cell.county === "330800" ? "市本级" : cell.county, households: 0 });
  const rows = [...places.values()].map((place) => ({ ...place, ...summed(all.filter((cell) => cell.county === place.code)) }));
  const main = about.covers ?? about.of_county[0], most = Math.max(1, ...rows.map((c) => c[main]));
  fill("counties", rows.map((c) => row(
    c.code, c.name, about.covers ? (c.households ? c[main] / c.households : 0) : c[main] / most,
    about.covers && c.households ? percent(c[main], c.households) + " · 约 " + number.format(c.households) + " 户" : "",
    about.of_county.map((name) => c[name]))));
}
function days(all) {
  const main = about.of_day[0], rows = [...new Set(all.map((cell) => cell.day))].sort().reverse()
    .map((day) => ({ day, ...summed(all.filter((cell) => cell.day === day)) }));
  const most = Math.max(1, ...rows.map((d) => d[main])); // as against the busiest day, says the head
  fill("days", rows.map((d) => row(d.day, d.day, d[main] / most, "", about.of_day.map((name) => d[name]))));
}
function draw() {
  const all = [...cells.values()];
  totals(summed(all));
  counties(all);
  days(all);
  byId("units").replaceChildren(...units.map((unit) => tile(unit.name, unit[about.of_day[0]], column[about.of_day[0]].title)));
  fresh = new Set();
}
heads("county-heads", "地区", about.covers ? "覆盖率（估算）" : column[about.of_county[0]].title + "（与最多的地区相比）", about.of_county);
heads("day-heads", "日期", column[about.of_day[0]].title + "（与最多的一天相比）", about.of_day);

const drawing = {
  snapshot(board) {
    cells.clear();
    units = board.org_units;
    board.by_county.forEach((place) => places.set(place.code, place));
    keep(board.cells);
    fresh.clear();
    draw();
  },
  delta(change) { keep(change.cells); draw(); },
  waiting(count) { byId("waiting").textContent = count ? "待处理事件 " + count + " 条，未计入。" : ""; },
};
