/**
 * The timeline of a cluster, from the logs of its members and the journal of applies: elections, membership changes, members
 * that start and stop, applies. Both engines log what they do in the same words, but for elections. Pure.
 */
import { groupBy } from "../../src/base/group-by.ts";
import type { JournalRecord } from "../../src/plan/journal-record.ts";
import type { LogEntry } from "../../src/providers/log-entry.ts";
import { type LogFields, logFields } from "./log-fields.ts";

export type TimelineKind = "election" | "membership" | "member" | "apply";

export type TimelineEvent = {
  readonly timeMs: number;
  readonly kind: TimelineKind;
  /** A member's name, or its id where no name is known; null for an apply. */
  readonly member: string | null;
  readonly text: string;
};

/** An event with what makes it the same one in the log of another member; null if each one counts. */
export type FoundEvent = { readonly event: TimelineEvent; readonly key: string | null };

/** The name of a member id; the id itself where it is unknown. */
export type NameOf = (id: string) => string;

/** Null for a line that says nothing of these. */
export function eventOfLog({ machine, timeMs, message }: LogEntry, nameOf: NameOf): FoundEvent | null {
  const line = logFields(message);
  if (typeof line["msg"] !== "string") return null;
  const text = (name: string): string => String(line[name] ?? "");
  const elected = electionIn(line["msg"], line);
  if (elected !== null) {
    const { leader, term } = elected;
    const name = nameOf(leader);
    return found("election", name, `${name} is the leader in term ${term}`, `election ${term} ${leader}`);
  }
  switch (line["msg"]) {
    case "added member": {
      const name = nameOf(text("added-peer-id"));
      const role = line["added-peer-is-learner"] === true ? "learner" : "voter";
      return found("membership", name, `${name} was added as a ${role}`, `added ${text("added-peer-id")}`);
    }
    case "promote member": {
      const id = text("promoted-member-id");
      return id === "" ? null : found("membership", nameOf(id), `${nameOf(id)} became a voter`, `promoted ${id}`);
    }
    case "removed member": {
      const name = nameOf(text("removed-remote-peer-id"));
      return found("membership", name, `${name} was removed`, `removed ${text("removed-remote-peer-id")}`);
    }
    case "ready to serve client requests":
      return found("member", machine, `${machine} serves clients`, null);
    case "stopping":
    case "closing etcd server":
      return found("member", machine, `${machine} stops`, null);
    default:
      return null;
  }

  function found(kind: TimelineKind, member: string, said: string, key: string | null): FoundEvent {
    return { event: { timeMs, kind, member, text: said }, key };
  }
}

/** The id of the member that has written a line; null if the line does not say. */
export function writerOfLog({ message }: LogEntry): string | null {
  const line = logFields(message);
  const { msg, leader, role } = line;
  if (typeof line["local-member-id"] === "string") return line["local-member-id"];
  if (msg === "leader elected" && role === "leader" && typeof leader === "string") return leader;
  return typeof msg === "string" ? (/^raft\.node: ([0-9a-f]+) /.exec(msg)?.[1] ?? null) : null;
}

/** haplan's agent has fields; etcd's Raft has a sentence. */
function electionIn(msg: string, line: LogFields): { readonly leader: string; readonly term: string } | null {
  if (msg === "leader elected" && typeof line["leader"] === "string")
    return { leader: line["leader"], term: String(line["term"]) };
  const match = /^raft\.node: \w+ (?:elected leader|changed leader from \w+ to) (\w+) at term (\d+)$/.exec(msg);
  return match === null ? null : { leader: match[1]!, term: match[2]! };
}

/** Of one journal; `complete`: its last plan was carried out to the end. An apply that is resumed goes on with a plan of its own. */
export function eventsOfJournal(records: readonly JournalRecord[], complete: boolean): readonly TimelineEvent[] {
  const plans = [...groupBy(records, ({ planId }) => planId)];
  return plans.flatMap(([id, ofPlan], index) => eventsOfPlan(id, ofPlan, complete && index === plans.length - 1));
}

/** What the plan is, by the steps that have begun: the first of a recovery saves the survivor's data. */
function operationOf(records: readonly JournalRecord[]): string {
  const kinds = new Set(records.map(({ action }) => action?.kind));
  if (kinds.has("saveSurvivor")) return "recovery";
  return kinds.has("restoreMember") ? "restore" : "apply";
}

function eventsOfPlan(id: string, records: readonly JournalRecord[], complete: boolean): readonly TimelineEvent[] {
  const plan = `${operationOf(records)} of plan ${id.slice(0, 12)}`;
  const said = ({ at }: JournalRecord, text: string): TimelineEvent => {
    return { timeMs: Date.parse(at), kind: "apply", member: null, text };
  };
  const steps = new Set(records.map(({ stepId }) => stepId)).size;
  return [
    ...records.slice(0, 1).map((record) => said(record, `${plan} began`)),
    ...records
      .filter(({ phase }) => phase === "failed")
      .map((record) => said(record, `${plan}: step ${record.stepId} failed: ${record.error ?? "unknown"}`)),
    ...(complete
      ? records
          .slice(-1)
          .map((record) => said(record, `${plan} is complete (${steps} ${steps === 1 ? "step" : "steps"})`))
      : []),
  ];
}
