"use strict";
const RETRY = 3000, SILENCE = 40000; // milliseconds; a heartbeat comes every 15 s
const number = new Intl.NumberFormat("zh-CN"), byId = (id) => document.getElementById(id);
function element(tag, text, className) {
  const made = document.createElement(tag);
  if (text !== undefined) made.textContent = text;
  if (className) made.className = className;
  return made;
}
function tile(label, value, note, first) {
  const made = element("div", undefined, first ? "tile first" : "tile");
  made.append(element("small", label), element("b", value ?? "—"), element("small", note));
  return made;
}
function at(text) {
  return new Date(text).toLocaleTimeString("zh-CN", { hour12: false, timeZone: "Asia/Shanghai" });
}
