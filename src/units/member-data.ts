/** What a member has on its disk, as `haplan-agent data show` prints it. */
import { compileSchema } from "../base/compile-schema.ts";
import { HaplanError } from "../base/haplan-error.ts";

export type MemberData = {
  readonly memberId: string;
  readonly clusterId: string;
  /** A process has the data open. */
  readonly running: boolean;
  /** Raft's hard state. */
  readonly term: number;
  readonly commitIndex: number;
  /** Of the last entry in the log. */
  readonly lastTerm: number;
  readonly lastIndex: number;
  readonly appliedIndex: number;
  /** Of what is applied: entries behind `appliedIndex` are not included. */
  readonly revision: number;
  readonly storeBytes: number;
  /** The last configuration in the log, committed or not: ids of members. */
  readonly voters: readonly string[];
  readonly votersOutgoing: readonly string[];
  readonly learners: readonly string[];
  /** Batches at the end of the log that a crash has cut. */
  readonly torn: readonly unknown[];
  /** Why the data does not hold what the member has acknowledged; null if it does. */
  readonly damage: string | null;
};

const count = { type: "integer", minimum: 0 };
const text = { type: "string" };
const ids = { type: "array", items: text };
const properties = {
  ...{ memberId: text, clusterId: text, running: { type: "boolean" } },
  ...{ term: count, commitIndex: count, lastTerm: count, lastIndex: count, appliedIndex: count },
  ...{ revision: count, storeBytes: count, voters: ids, votersOutgoing: ids, learners: ids },
  ...{ torn: { type: "array" }, damage: { type: ["string", "null"] } },
};
const schema = { type: ["object", "null"], properties, required: Object.keys(properties) };

/** Null if there is no log. @throws HaplanError `provider/data-unreadable` for what is no such text */
export function parseMemberData(printed: string): MemberData | null {
  try {
    const data: unknown = JSON.parse(printed);
    if (compileSchema<MemberData | null>(schema)(data)) return data;
  } catch {
    // Whatever it is, it does not say what the member has.
  }
  throw new HaplanError("provider/data-unreadable", `haplan-agent printed no description of the data: ${printed}`);
}
