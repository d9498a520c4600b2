// The table of members.
import { byId, element, showList } from "./dom.js";
import { bytes, orDash } from "./format.js";

const withoutAnswer = new Set(["unreachable", "stopped", "absent", "unknown"]);

export function showMembers({ members }) {
  showList(byId("member-rows"), members, ({ name, id }) => `${name} ${id}`, row);
}

function row(member, before) {
  const { name, role, healthy, alarms, free_bytes: freeBytes } = member;
  const state = withoutAnswer.has(role) ? "bad" : healthy ? "good" : "warn";
  const cell = (key, text, attributes = {}) =>
    element(
      "td",
      { ...attributes, class: `${attributes.class ?? ""}${hasChanged(member, before, key) ? " changed" : ""}` },
      text,
    );
  const number = { class: "number" };
  return element(
    "tr",
    { "data-member": name, "data-role": role },
    element(
      "th",
      { scope: "row" },
      orDash(name),
      alarms.map((alarm) => element("span", { class: "alarm" }, alarm)),
      freeBytes !== null && freeBytes < 512 * 1024 * 1024
        ? element("span", { class: "alarm" }, `${bytes(freeBytes)} free`)
        : null,
    ),
    element("td", {}, element("span", { class: "role", "data-state": state, "data-role": role }, roleText(member))),
    cell("raft_term", orDash(member.raft_term), number),
    cell("raft_index", orDash(member.raft_index), number),
    cell("lag", orDash(member.lag), number),
    cell("db_size_bytes", bytes(member.db_size_bytes), number),
    element("td", number, member.read_latency_ms === null ? "–" : `${member.read_latency_ms} ms`),
    cell("version", orDash(member.version)),
    element("td", {}, orDash(member.zone)),
    element("td", {}, element("code", {}, orDash(member.client_url))),
  );
}

function roleText({ role, healthy }) {
  return healthy || withoutAnswer.has(role) ? role : `${role} (not healthy)`;
}

function hasChanged(member, before, key) {
  return before !== null && before[key] !== member[key];
}
