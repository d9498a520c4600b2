/** Moments of `haplan migrate`, of its `-rollback` and of its `-finish` at which it is killed, in their order. */

export type Moment = {
  readonly name: string;
  /** Killed by itself, exactly there: see die-at-moment.mjs. */
  readonly dieAt?: DieAt;
  /** Killed from outside, this long after it has printed this. */
  readonly printed?: RegExp;
  readonly laterMs?: number;
};

type DieAt = {
  readonly renamed?: string;
  readonly holding?: string;
  readonly asked?: string;
  readonly answered?: string;
  readonly sending?: string;
  readonly after?: DieAt;
};

const recorded = (phase: string): DieAt => ({ renamed: "migration/record\\.json$", holding: `"phase": "${phase}"` });
const balancerFile = "load-balancer\\.json$";
const balancerHolds: DieAt = { renamed: balancerFile, holding: '"hold"' };
const balancerServes = (name: string): DieAt => ({
  renamed: balancerFile,
  holding: `^(?![^]*"hold")[^]*"name": "${name}`,
});
const alarmCall = "Maintenance/Alarm$";
/** The action of an AlarmRequest, behind the five bytes of gRPC. */
const activates = "^.{10}0801";
const deactivates = "^.{10}0802";
const frozen: DieAt = { answered: alarmCall, sending: activates };
const hashed: DieAt = { answered: "Maintenance/HashKV$" };

export const switchIsRecorded: Moment = { name: "the switch is recorded", dieAt: recorded("switched") };
export const returnIsRecorded: Moment = { name: "the return is recorded", dieAt: recorded("returned") };

const beforeTheSwitch = /^Both have the same/m;

/** Of a run of `haplan migrate` whose copy is made anew. */
export const momentsOfMigrate: readonly Moment[] = [
  { name: "the snapshot is taken", dieAt: { renamed: "migration/[0-9a-f]{64}\\.db$" } },
  { name: "the plan of the copy is saved", dieAt: { renamed: "migration/plan\\.json$" } },
  { name: "the copy has begun", dieAt: recorded("copying") },
  { name: "a step of the copy is complete", printed: /\] (restore|rebuild)\b.*: done/i },
  { name: "the new members start", printed: /\] start agent m\d \.\.\./ },
  { name: "the copy is made", dieAt: recorded("following") },
  { name: "both are equal", printed: beforeTheSwitch },
  { name: "the switch begins", dieAt: recorded("switching") },
  { name: "the load balancer is told to hold its clients", dieAt: balancerHolds },
  { name: "the freeze is asked for", dieAt: { asked: alarmCall, sending: activates } },
  { name: "the old cluster is frozen", dieAt: frozen },
  { name: "the last changes are compared", dieAt: { ...hashed, after: frozen } },
  switchIsRecorded,
  { name: "the load balancer serves the new members", dieAt: { ...balancerServes("m1"), after: recorded("switched") } },
  { name: "the switch is reported", printed: /^Switched at/m },
  { name: "the state is written", dieAt: { renamed: "/state\\.json$", after: recorded("switched") } },
];

export const momentsOfRollback: readonly Moment[] = [
  { name: "the return has begun", dieAt: recorded("returning") },
  { name: "the leadership of the old cluster is handed over", dieAt: { answered: "Maintenance/MoveLeader$" } },
  { name: "the old cluster takes changes again", dieAt: { answered: alarmCall, sending: deactivates } },
  { name: "both are equal", printed: beforeTheSwitch },
  { name: "the load balancer is told to hold its clients", dieAt: balancerHolds },
  { name: "the freeze is asked for", dieAt: { asked: alarmCall, sending: activates } },
  { name: "the new members are frozen", dieAt: frozen },
  { name: "the last changes are compared", dieAt: { ...hashed, after: frozen } },
  returnIsRecorded,
  {
    name: "the load balancer serves the old members",
    dieAt: { ...balancerServes("migrated-from-1"), after: recorded("returned") },
  },
  { name: "the return is reported", printed: /^Switched at/m },
];

export const momentsOfFinish: readonly Moment[] = [
  { name: "the new members are observed", dieAt: { answered: "etcdserverpb" } },
  { name: "the end is recorded", dieAt: recorded("finished") },
];

/** Points at equal distances from when both are equal until the clients have continued: also between the moments above. */
export function pointsOfTheSwitch(count: number, strideMs: number, firstMs = 0): readonly Moment[] {
  return Array.from({ length: count }, (_, at) => {
    const laterMs = firstMs + at * strideMs;
    return { name: `${laterMs} ms after both are equal`, printed: beforeTheSwitch, laterMs };
  });
}
