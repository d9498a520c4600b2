// The quorum: a picture of the voters, what it can lose, and what would be if the reader assumes that some fail.
import { byId, element, setText, shape, showList } from "./dom.js";
import { plural } from "./format.js";

/** Names of the voters that the reader assumes to fail. */
const assumed = new Set();
let present = null;

export function showQuorum(status) {
  present = status;
  const voters = votersOf(status);
  for (const name of assumed) if (!voters.some((voter) => voter.name === name && voter.healthy)) assumed.delete(name);
  const { state, sentence, counts } = describe(status);
  const sentenceLine = byId("quorum-sentence");
  setText(sentenceLine, sentence);
  sentenceLine.dataset.state = state;
  setText(byId("quorum-counts"), counts);
  showAssumptions(status);
  byId("quorum-picture").replaceChildren(picture(status));
  showFailures(status);
}

/** `good`, `warn`, `bad`, `unknown`, and the sentence for it. */
export function describe(status) {
  const { members, voters, healthy_voters: healthy, quorum, can_lose: canLose, has_leader: hasLeader } = status;
  const counts = `${healthy} of ${voters} voters healthy, quorum ${quorum}`;
  if (members.length === 0)
    return { state: "unknown", short: "no cluster", sentence: "There is no cluster yet.", counts: "" };
  if (status.not_authenticated !== null)
    return { state: "unknown", short: "unknown", sentence: `Unknown: haplan ${status.not_authenticated}`, counts };
  if (canLose === null)
    return {
      state: "bad",
      short: "no quorum",
      sentence: "Quorum lost: writes fail until more members are back.",
      counts,
    };
  if (!hasLeader)
    return { state: "warn", short: "no leader", sentence: "There is a majority, and no leader at the moment.", counts };
  if (canLose === 0)
    return { state: "warn", short: "can lose 0", sentence: "Writes work, but no further voter may fail.", counts };
  const state = healthy < voters ? "warn" : "good";
  return { state, short: `can lose ${canLose}`, sentence: `Survives ${plural(canLose, "more failure")}.`, counts };
}

function votersOf({ members }) {
  return members.filter(({ role }) => role !== "learner");
}

function showAssumptions(status) {
  const healthy = votersOf(status).filter((voter) => voter.healthy);
  byId("assume").hidden = status.can_lose === null;
  const items = healthy.map(({ name, role }) => ({ name, leads: role === "leader", pressed: assumed.has(name) }));
  // The pressed state is set in place: a button that was replaced would lose the focus.
  showList(
    byId("assume-buttons"),
    items.map(({ name, leads }) => ({ name, leads })),
    ({ name }) => name,
    ({ name, leads }) => {
      const button = element(
        "button",
        { type: "button", class: "toggle", "data-member": name },
        `${name}${leads ? " (leader)" : ""}`,
      );
      button.addEventListener("click", () => {
        if (!assumed.delete(name)) assumed.add(name);
        showQuorum(present);
      });
      return button;
    },
  );
  for (const button of byId("assume-buttons").children)
    button.setAttribute("aria-pressed", String(assumed.has(button.dataset.member)));
  setText(byId("assume-result"), assumptionText(status));
}

function assumptionText({ healthy_voters: healthy, voters, quorum }) {
  if (assumed.size === 0) return "Choose voters to see what would be left.";
  const left = healthy - assumed.size;
  const effect = left >= quorum ? `writes continue, and ${left - quorum} more may fail` : "writes stop";
  return `Without ${[...assumed].join(", ")}: ${left} of ${voters} voters, quorum ${quorum}: ${effect}.`;
}

function showFailures(status) {
  const none = {
    kind: "none",
    subject: "none",
    outcome: "lost",
    text:
      status.members.length === 0
        ? "There is nothing to fail."
        : "There is no quorum. The next failure changes nothing for writes; it may cost data.",
  };
  const failures = status.possible_failures.length === 0 ? [none] : status.possible_failures;
  showList(
    byId("failures"),
    failures,
    ({ kind, subject }) => `${kind} ${subject}`,
    ({ outcome, text }) =>
      element(
        "li",
        { "data-outcome": outcome },
        element("span", { class: "mark", "aria-hidden": "true" }, outcome === "held" ? "✓" : "!"),
        element("span", {}, text),
      ),
  );
}

const center = { x: 200, y: 168 };
const ring = { radius: 66, width: 15 };
const nodeRadius = 23;
const nodeDistance = 118;

/** Voters around a ring with a part for each; learners below it. */
function picture(status) {
  const voters = votersOf(status);
  const learners = status.members.filter(({ role }) => role === "learner");
  const { state, short } = describe(status);
  const label = voters.map((voter) => `${voter.name}: ${stateOf(voter).text}`).join(", ");
  return shape(
    "svg",
    { viewBox: `0 0 400 ${learners.length > 0 ? 388 : 340}`, role: "img", "aria-label": `Voters: ${label || "none"}` },
    voters.map((voter, at) => spoke(voter, at, voters.length)),
    voters.map((voter, at) => segment(voter, at, voters.length)),
    shape(
      "text",
      { x: center.x, y: center.y - 2, class: `ring-count ${state}` },
      `${status.healthy_voters}/${status.voters}`,
    ),
    shape("text", { x: center.x, y: center.y + 20, class: "ring-note" }, short),
    voters.map((voter, at) => node(voter, position(at, voters.length))),
    learners.map((learner, at) => node(learner, { x: center.x + (at - (learners.length - 1) / 2) * 76, y: 342 })),
  );
}

function position(at, count) {
  const angle = (2 * Math.PI * at) / count - Math.PI / 2;
  return { x: center.x + nodeDistance * 1.16 * Math.cos(angle), y: center.y + nodeDistance * Math.sin(angle) };
}

/** From the ring to a voter that counts for the majority. */
function spoke(voter, at, count) {
  if (stateOf(voter).kind !== "up") return null;
  const to = position(at, count);
  const length = Math.hypot(to.x - center.x, to.y - center.y);
  const from = { x: center.x + ((to.x - center.x) * 78) / length, y: center.y + ((to.y - center.y) * 78) / length };
  const kind = voter.role === "leader" ? "spoke leads" : "spoke";
  return shape("line", { class: kind, x1: from.x, y1: from.y, x2: to.x, y2: to.y });
}

function segment(voter, at, count) {
  const gap = count === 1 ? 0 : 0.09;
  const begin = (2 * Math.PI * (at - 0.5)) / count - Math.PI / 2 + gap;
  const end = (2 * Math.PI * (at + 0.5)) / count - Math.PI / 2 - gap;
  const point = (angle) => `${center.x + ring.radius * Math.cos(angle)} ${center.y + ring.radius * Math.sin(angle)}`;
  const long = end - begin > Math.PI ? 1 : 0;
  const d =
    count === 1
      ? `M${center.x} ${center.y - ring.radius}a${ring.radius} ${ring.radius} 0 1 1 -0.01 0`
      : `M${point(begin)}A${ring.radius} ${ring.radius} 0 ${long} 1 ${point(end)}`;
  return shape("path", { class: `segment ${stateOf(voter).kind}`, d, "stroke-width": ring.width });
}

function node(member, { x, y }) {
  const { kind, mark, text } = stateOf(member);
  const name = member.name === "" ? "new" : member.name;
  const short = name.length > 14 ? `${name.slice(0, 13)}…` : name;
  return shape(
    "g",
    { class: `node ${kind}${member.role === "leader" ? " leader" : ""}` },
    shape("title", {}, `${name}: ${text}`),
    shape("circle", { cx: x, cy: y, r: nodeRadius }),
    shape("text", { x, y: y + 7, class: "node-mark" }, mark),
    shape("text", { x, y: y < center.y - 60 ? y - nodeRadius - 8 : y + nodeRadius + 16, class: "node-name" }, short),
  );
}

function stateOf({ name, role, healthy }) {
  if (assumed.has(name)) return { kind: "assumed", mark: "?", text: "assumed to fail" };
  if (role === "unknown") return { kind: "unknown", mark: "?", text: "unknown" };
  if (["unreachable", "stopped", "absent"].includes(role)) return { kind: "down", mark: "✕", text: role };
  if (role === "learner") return { kind: "learner", mark: "…", text: "learner, it has no vote" };
  if (!healthy) return { kind: "down", mark: "!", text: `${role}, not healthy` };
  return role === "leader" ? { kind: "up", mark: "★", text: "leader" } : { kind: "up", mark: "✓", text: "follower" };
}
