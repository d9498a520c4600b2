// The timeline: what has happened, newest first, with a filter for each kind.
import { byId, element, showList } from "./dom.js";
import { dayAndTime } from "./format.js";

/** Groups of kinds, in the order of the filters. */
const groups = [
  { name: "Quorum", kinds: ["quorum", "leader"] },
  { name: "Elections", kinds: ["election"] },
  { name: "Membership", kinds: ["membership"] },
  { name: "Members", kinds: ["member", "version", "alarm", "disk"] },
  { name: "Applies", kinds: ["apply"] },
  { name: "Load balancer", kinds: ["loadBalancer"] },
  { name: "Workers", kinds: ["worker"] },
  { name: "Backups", kinds: ["backup"] },
];

let items = [];
const hidden = new Set();

export function startTimeline() {
  for (const { name } of groups) {
    const box = element("input", { type: "checkbox", checked: true, name: "kind", value: name });
    box.addEventListener("change", () => {
      if (box.checked) hidden.delete(name);
      else hidden.add(name);
      show();
    });
    byId("filters").append(element("label", {}, box, ` ${name}`));
  }
}

/** A connection that begins anew sends everything again. */
export function resetTimeline() {
  items = [];
}

export function addToTimeline(added) {
  items = [...items, ...added].sort((a, b) => b.time.localeCompare(a.time)).slice(0, 500);
  show();
}

function groupOf(kind) {
  return groups.find(({ kinds }) => kinds.includes(kind))?.name ?? "Members";
}

function show() {
  const visible = items.filter(({ kind }) => !hidden.has(groupOf(kind)));
  showList(byId("timeline-items"), visible, ({ time, kind, text }) => `${time} ${kind} ${text}`, row);
  const empty = byId("timeline-empty");
  empty.hidden = visible.length > 0;
  empty.textContent =
    items.length === 0
      ? "Nothing has happened in the last seven days."
      : "The filters hide everything that has happened.";
}

function row({ time, kind, text }) {
  return element(
    "li",
    { "data-kind": kind },
    element("time", { datetime: time, title: time }, dayAndTime(time)),
    element("span", { class: "badge", "data-group": groupOf(kind) }, groupOf(kind)),
    element("span", {}, text),
  );
}
