// Connects to haplan and shows what it sends. The page asks nothing of any other server.
import { showAccess } from "./access.js";
import { byId, element, setText } from "./dom.js";
import { clockTime } from "./format.js";
import { showMembers } from "./members.js";
import { noteChange, offerSavedPlan, startPlan } from "./plan.js";
import { describe, showQuorum } from "./quorum.js";
import { addToTimeline, resetTimeline, startTimeline } from "./timeline.js";

startTimeline();
startPlan();
connect();

function connect() {
  const source = new EventSource("events");
  const on = (name, handle) => source.addEventListener(name, ({ data }) => handle(JSON.parse(data)));
  on("hello", ({ cluster, saved_plan: savedPlan }) => {
    setText(byId("cluster"), cluster);
    document.title = `${cluster} · haplan`;
    resetTimeline();
    offerSavedPlan(savedPlan);
  });
  on("timeline", ({ items }) => addToTimeline(items));
  on("status", showStatus);
  on("trouble", ({ text }) => showNotice("trouble", text));
  source.addEventListener("open", () => showConnection("open", "connected"));
  // The browser connects again by itself.
  source.addEventListener("error", () => showConnection("lost", "haplan does not answer; what is shown is old"));
}

function showConnection(state, text) {
  const line = byId("connection");
  line.dataset.state = state;
  document.body.classList.toggle("old", state === "lost");
  setText(byId("connection-text"), text);
}

function showStatus(status) {
  const time = status["@timestamp"];
  const { state, short } = describe(status);
  const pill = byId("summary");
  pill.dataset.state = state;
  setText(pill, short);
  showConnection("open", `as of ${clockTime(time)}`);
  showNotice("trouble", null);
  showNotice(
    "problems",
    [
      ...status.unreachable.map(({ name, reason }) => `Machine ${name} is unreachable: ${reason}`),
      ...status.problems.map(({ subject, message }) => `Unknown (${subject}): ${message}`),
    ].join("\n") || null,
  );
  showQuorum(status);
  showMembers(status);
  showAccess(status);
  if (status.changes.length === 0) return;
  noteChange(time);
  announce(status.changes.map(({ text }) => text).join(". "));
}

const announcementsKept = 20;

/** Adds to a log: what a screen reader has not read yet stays, although more happens at once. */
function announce(text) {
  const log = byId("announcements");
  log.append(element("p", {}, text));
  while (log.childElementCount > announcementsKept) log.firstElementChild.remove();
}

const notices = new Map();

function showNotice(name, text) {
  if ((notices.get(name) ?? null) === text) return;
  notices.set(name, text);
  const shown = [...notices.values()].filter((each) => each !== null);
  byId("notices").replaceChildren(
    ...shown.map((each) => element("p", { class: "notice", "data-severity": "error" }, each)),
  );
}
