"use strict";
const number = new Intl.NumberFormat("zh-CN"), byId = (id) => document.getElementById(id);
const about = JSON.parse(byId("about").textContent);
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
