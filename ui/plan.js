// A plan beside its quorum timeline: computed when it is asked for, or the saved one.
import { byId, element, setText } from "./dom.js";
import { clockTime, plural } from "./format.js";

/** When the plan on the page was made; null for none, and for a saved plan. */
let madeAt = null;

export function startPlan() {
  byId("plan-compute").addEventListener("click", () => load("plan.json", byId("plan-compute")));
  byId("plan-saved").addEventListener("click", () => load("saved-plan.json", byId("plan-saved")));
}

export function offerSavedPlan(path) {
  const button = byId("plan-saved");
  const isNew = path !== null && button.hidden;
  button.hidden = path === null;
  button.textContent = `Show ${path}`;
  if (isNew) load("saved-plan.json", button);
}

/** A plan is of one moment. */
export function noteChange(timeIso) {
  if (madeAt === null || timeIso <= madeAt) return;
  madeAt = null;
  byId("plan-status").append(" The cluster has changed since: compute it again.");
}

async function load(path, button) {
  if (button.getAttribute("aria-disabled") === "true") return;
  button.setAttribute("aria-disabled", "true");
  setText(byId("plan-status"), "Looking at the cluster…");
  try {
    const response = await fetch(path, { cache: "no-store" });
    if (!response.ok) throw new Error(await response.text());
    show(await response.json());
  } catch (error) {
    byId("plan-body").hidden = true;
    setText(byId("plan-status"), `There is no plan: ${error.message}`);
  } finally {
    button.removeAttribute("aria-disabled");
  }
}

function show(answer) {
  const body = byId("plan-body");
  body.hidden = false;
  if (answer.refused !== undefined) {
    madeAt = null;
    setText(byId("plan-status"), "haplan refuses to plan:");
    body.replaceChildren(...answer.refused.diagnostics.map(diagnostic));
    return;
  }
  madeAt = answer.made_at;
  const { plan } = answer;
  const changes = plan.resource_changes.filter(({ address, change }) => !isNoop(change) && !address.startsWith("aws_"));
  const from = answer.path === null ? `Computed at ${clockTime(answer.made_at)}` : `Saved in ${answer.path}`;
  setText(byId("plan-status"), `${from}: ${summary(changes, plan.haplan.steps.length, answer.has_changes)}`);
  body.replaceChildren(
    ...(answer.has_changes || plan.haplan.steps.length > 0 ? [changeList(changes), quorumTable(plan.haplan)] : []),
    ...plan.haplan.warnings.map(diagnostic),
  );
}

function isNoop({ actions }) {
  return actions.every((action) => action === "no-op" || action === "read");
}

function summary(changes, steps, hasChanges) {
  if (!hasChanges && steps === 0) return "no changes. The cluster is as the spec says.";
  const count = (action) => changes.filter(({ change }) => change.actions.includes(action)).length;
  return `${count("create")} to add, ${count("update")} to change, ${count("delete")} to destroy, in ${plural(steps, "step")}.`;
}

function changeList(changes) {
  return element(
    "div",
    { class: "plan-changes" },
    element("h3", {}, "Changes"),
    changes.length === 0 ? element("p", { class: "muted" }, "No resource changes.") : null,
    element("ul", { class: "changes" }, changes.map(changeRow)),
  );
}

const signs = { create: ["+", "add"], update: ["~", "change"], delete: ["−", "destroy"] };

function changeRow({ address, change, haplan_reason: reason }) {
  const [sign, word] =
    change.actions.length > 1 ? ["±", "replace"] : (signs[change.actions[0]] ?? ["·", change.actions[0]]);
  return element(
    "li",
    { "data-action": word },
    element("span", { class: "sign", "aria-hidden": "true" }, sign),
    element("span", { class: "visually-hidden" }, `${word}: `),
    element("code", {}, address),
    reason === undefined ? null : element("span", { class: "reason" }, reason),
  );
}

/** Each row is after the step. */
function quorumTable({ quorum }) {
  const titles = ["Step", "Voters", "Quorum", "Can lose", "Endpoint"];
  return element(
    "div",
    { class: "plan-quorum" },
    element("h3", {}, "Quorum after each step"),
    element(
      "div",
      { class: "scroll" },
      element(
        "table",
        {},
        element(
          "thead",
          {},
          element(
            "tr",
            {},
            titles.map((title) => element("th", { scope: "col" }, title)),
          ),
        ),
        element("tbody", {}, quorum.map(quorumRow)),
      ),
    ),
  );
}

function quorumRow(row) {
  const {
    after_step: step,
    title,
    voters,
    voters_outgoing: outgoing,
    learners,
    healthy_voters: healthy,
    can_lose: canLose,
  } = row;
  const state = voters === 0 ? "unknown" : canLose === null ? "bad" : canLose === 0 ? "warn" : "good";
  const all = outgoing > 0 ? `${outgoing}+${voters}` : String(voters);
  const marks =
    voters > 9
      ? ""
      : `${"●".repeat(Math.min(healthy, voters))}${"○".repeat(Math.max(0, voters - healthy))}${"◌".repeat(learners)}`;
  return element(
    "tr",
    { "data-state": state },
    element(
      "th",
      { scope: "row" },
      element("span", { class: "step-number" }, step === null ? "now" : String(step + 1)),
      step === null ? "" : title,
    ),
    element(
      "td",
      {},
      element("span", { class: "marks", "aria-hidden": "true" }, marks),
      ` ${all}${learners > 0 ? ` + ${plural(learners, "learner")}` : ""}`,
    ),
    element("td", {}, voters === 0 ? "–" : String(row.quorum)),
    element("td", { class: "can-lose" }, canLose === null ? (voters === 0 ? "–" : "no quorum") : String(canLose)),
    element("td", {}, row.endpoint === undefined ? "–" : `${row.endpoint.serving}/${row.endpoint.targets}`),
  );
}

function diagnostic({ severity, summary: text, detail }) {
  return element(
    "div",
    { class: "notice", "data-severity": severity },
    element("strong", {}, text),
    detail === "" ? null : element("pre", {}, detail),
  );
}
