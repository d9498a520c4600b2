// What clients and operators depend on beside the members: load balancer, workers, certificates, backups.
import { byId, element, showList } from "./dom.js";
import { age, bytes, dayAndTime, orDash } from "./format.js";

export function showAccess(status) {
  showBalancer(status.load_balancer);
  showWorkers(status.workers);
  showCertificates(status.certificates);
  showBackups(status.backups);
}

/** One line with a state: `good`, `warn` or `bad`, which is also told by a word. */
function fact({ title, detail, state, word }) {
  return element(
    "li",
    { "data-state": state },
    element("span", { class: "fact-title" }, title),
    element("span", { class: "fact-word" }, word),
    element("span", { class: "fact-detail" }, detail),
  );
}

/** Of what runs on a machine. */
const partStates = { running: "good", unreachable: "warn", stopped: "bad", absent: "bad" };

function showFacts(list, facts) {
  showList(list, facts, ({ key, title }) => key ?? title, fact);
}

let balancerShown = "";

function showBalancer(balancer) {
  const content = JSON.stringify(balancer);
  if (content === balancerShown) return;
  balancerShown = content;
  if (balancer === null) {
    byId("balancer").replaceChildren(element("p", { class: "muted" }, "There is none."));
    return;
  }
  const { endpoint, type, hosts, backends } = balancer;
  const own = { ...balancer, name: "process", virtual_address: null };
  const list = element("ul", { class: "facts" });
  showFacts(list, [
    ...(hosts ?? [own]).map(({ name, state, unreachable, virtual_address: address }) => ({
      key: `host ${name}`,
      title: name,
      state: address === "fault" ? "bad" : partStates[state],
      word: state === "stopped" ? "not running" : state,
      detail:
        unreachable ??
        { holder: "has the virtual address", backup: "can take it over", fault: "cannot take it over" }[address] ??
        "",
    })),
    ...backends.map(({ name, state }) => ({
      key: `target ${name}`,
      title: `target ${name}`,
      state: state === "ready" ? "good" : "warn",
      word: state,
      detail: "",
    })),
  ]);
  byId("balancer").replaceChildren(
    element("p", { class: "endpoint" }, element("code", {}, endpoint), ` ${type}`),
    list,
  );
}

function showWorkers(workers) {
  const none = { key: "none", title: "none", state: "good", word: "", detail: "" };
  const facts = workers.map((worker) => ({ title: worker.name, ...workerFact(worker) }));
  showFacts(byId("workers"), facts.length === 0 ? [none] : facts);
}

function workerFact({ address, state, unreachable, reporting }) {
  const report = reporting === null ? null : reporting ? "reporting" : "not reporting";
  if (state === "running")
    return { detail: address, state: reporting === false ? "warn" : "good", word: report ?? state };
  const known = state === "unreachable" && report !== null ? `${state}, ${report}` : state;
  return {
    detail: unreachable === null ? address : `${address}: ${unreachable}`,
    state: partStates[state],
    word: state === "stopped" ? "not running" : known,
  };
}

const certificateWords = {
  valid: ["good", "valid"],
  renewalDue: ["warn", "renewal due"],
  expired: ["bad", "expired"],
  notYetValid: ["bad", "not yet valid"],
  untrusted: ["bad", "untrusted"],
};

/** The one that expires first is on top. */
function showCertificates(certificates) {
  const none = { key: "none", title: "none", state: "good", word: "TLS is off", detail: "" };
  const facts = certificates
    .toSorted((a, b) => a.days_left - b.days_left)
    .map(({ name, status, days_left: days, not_after: notAfter }) => {
      const [state, word] = certificateWords[status] ?? ["warn", status];
      return { title: name, state, word, detail: `${days} days, until ${notAfter.slice(0, 10)}` };
    });
  showFacts(byId("certificates"), facts.length === 0 ? [none] : facts);
}

const backupsShownMax = 5;

function showBackups({ backups, bucket, last_scheduled: scheduled }) {
  const elsewhere = {
    key: "bucket",
    title: "in a bucket",
    state: "",
    word: "",
    detail: `${bucket}: haplan backups lists them`,
  };
  const none = { key: "none", title: "none", state: "warn", word: "", detail: "haplan backup takes one" };
  const newest = backups.toSorted((a, b) => String(b.created_at).localeCompare(String(a.created_at)));
  const facts = newest.slice(0, backupsShownMax).map((backup) => ({
    key: backup.name,
    title: backup.age_seconds === null ? backup.name : `${age(backup.age_seconds)} old`,
    state: backup.problem !== null ? "bad" : backup.verified ? "good" : "warn",
    word: backup.problem !== null ? "damaged" : backup.verified ? "verified" : "not verified",
    detail: `revision ${orDash(backup.revision)}, ${bytes(backup.file_bytes)}${backup.encrypted ? ", encrypted" : ""}`,
  }));
  if (bucket !== null) facts.push(elsewhere);
  if (scheduled !== null) facts.unshift(scheduledFact(scheduled));
  showFacts(byId("backups"), facts.length === 0 ? [none] : facts);
}

/** The last backup that a member took by itself, or could not take. */
function scheduledFact({ member, time, failure, unread }) {
  const logs = unread.length === 0 ? "" : `; the log of ${unread.join(", ")} could not be read`;
  const fact = { key: "schedule", title: "schedule" };
  if (member === null)
    return { ...fact, state: "warn", word: "none taken", detail: `in the last two intervals${logs}` };
  const when = `${member}, ${dayAndTime(time)}`;
  if (failure === null) return { ...fact, state: "good", word: "taken", detail: `${when}${logs}` };
  return { ...fact, state: "bad", word: "failed", detail: `${when}: ${failure}${logs}` };
}
