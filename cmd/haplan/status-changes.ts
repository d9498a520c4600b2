/** What happened between two looks at a cluster: elections, membership changes, failures. Pure. */
import { freeBytesMin } from "../../src/units/data-disk.ts";
import { type ClusterStatus, isDown, type MemberStatus, type PartState } from "./views/status-view.ts";

export type StatusChangeKind =
  | "quorum"
  | "leader"
  | "membership"
  | "member"
  | "version"
  | "alarm"
  | "disk"
  | "loadBalancer"
  | "worker"
  | "backup";

/** `subject`: the member, load balancer or worker that it is about; null for the cluster. */
export type StatusChange = { readonly kind: StatusChangeKind; readonly subject: string | null; readonly text: string };

/** What matters most comes first. */
export function statusChanges(before: ClusterStatus, after: ClusterStatus): readonly StatusChange[] {
  return [
    ...quorumChange(before, after),
    ...leaderChange(before, after),
    ...membershipChanges(before, after),
    ...pairs(before.members, after.members).flatMap(([was, is]) => memberChanges(was, is)),
    ...loadBalancerChanges(before.loadBalancer, after.loadBalancer),
    ...pairs(before.workers, after.workers).flatMap(([was, is]) => [
      ...partChanges("worker", is.name, was, is),
      ...(was.reporting === null || is.reporting === null
        ? []
        : flip("worker", is.name, was.reporting, is.reporting, "reports", "does not report")),
    ]),
  ];
}

function quorumChange(before: ClusterStatus, after: ClusterStatus): readonly StatusChange[] {
  const [had, has] = [before.canLose !== null, after.canLose !== null];
  const counts = `${after.healthyVoters} of ${after.voters} voters healthy, quorum ${after.quorum}`;
  if (had && !has) return [{ kind: "quorum", subject: null, text: `quorum lost: ${counts}` }];
  if (!had && has) return [{ kind: "quorum", subject: null, text: `quorum is there: ${counts}` }];
  if (before.canLose === after.canLose) return [];
  return [{ kind: "quorum", subject: null, text: `can lose ${after.canLose} (was ${before.canLose}): ${counts}` }];
}

function leaderChange(before: ClusterStatus, after: ClusterStatus): readonly StatusChange[] {
  const [was, is] = [leaderOf(before), leaderOf(after)];
  if (was?.name === is?.name && was?.raftTerm === is?.raftTerm) return [];
  if (is === undefined) return [{ kind: "leader", subject: null, text: `no leader (was ${was?.name})` }];
  const former = was === undefined ? "" : ` (was ${was.name} in term ${was.raftTerm})`;
  return [{ kind: "leader", subject: is.name, text: `${is.name} is the leader in term ${is.raftTerm}${former}` }];
}

function leaderOf({ members }: ClusterStatus): MemberStatus | undefined {
  return members.find(({ role }) => role === "leader");
}

function membershipChanges(before: ClusterStatus, after: ClusterStatus): readonly StatusChange[] {
  const said = ({ name, id }: MemberStatus, what: string): StatusChange => {
    return { kind: "membership", subject: name, text: `${name}${id === null ? "" : ` (${id})`} ${what}` };
  };
  const [known, present] = [new Set(before.members.map(identity)), new Set(after.members.map(identity))];
  return [
    ...after.members
      .filter((member) => !known.has(identity(member)))
      .map((member) => said(member, member.role === "learner" ? "joined as a learner" : "joined")),
    ...before.members.filter((member) => !present.has(identity(member))).map((member) => said(member, "was removed")),
    ...pairs(before.members, after.members)
      .filter(([was, is]) => was.role === "learner" && (is.role === "follower" || is.role === "leader"))
      .map(([, is]) => said(is, "became a voter")),
  ];
}

/** Another member of the same name is another member. */
function identity({ name, id }: MemberStatus): string {
  return `${name} ${id ?? ""}`;
}

function memberChanges(was: MemberStatus, is: MemberStatus): readonly StatusChange[] {
  const { name } = is;
  const full = ({ freeBytes }: MemberStatus): boolean => freeBytes !== null && freeBytes < freeBytesMin;
  const answering = flip("member", name, !isDown(was), !isDown(is), "answers", `is ${is.role}`);
  return [
    ...answering,
    ...(isDown(is) || isDown(was) ? [] : machineChange(was, is)),
    ...(answering.length > 0 || isDown(is)
      ? []
      : flip("member", name, was.healthy, is.healthy, "is healthy", "is not healthy")),
    ...(was.version === null || is.version === null || was.version === is.version
      ? []
      : [{ kind: "version", subject: name, text: `${name} runs ${is.version} (was ${was.version})` } as const]),
    ...alarmChanges(was, is),
    ...flip("disk", name, !full(was), !full(is), "has free disk space", "has almost no free disk space"),
  ];
}

/** Of a member that answers. */
function machineChange(was: MemberStatus, is: MemberStatus): readonly StatusChange[] {
  if ((was.unreachable === null) === (is.unreachable === null)) return [];
  const text = `the machine of ${is.name} is ${is.unreachable === null ? "reached again" : "unreachable"}`;
  return [{ kind: "member", subject: is.name, text }];
}

/** A member that does not answer reports no alarms. */
function alarmChanges(was: MemberStatus, is: MemberStatus): readonly StatusChange[] {
  if (isDown(is)) return [];
  const said = (alarm: string, what: string): StatusChange => {
    return { kind: "alarm", subject: is.name, text: `${alarm} at ${is.name}${what}` };
  };
  return [
    ...is.alarms.filter((alarm) => !was.alarms.includes(alarm)).map((alarm) => said(alarm, "")),
    ...was.alarms.filter((alarm) => !is.alarms.includes(alarm)).map((alarm) => said(alarm, " has ended")),
  ];
}

type LoadBalancerStatus = ClusterStatus["loadBalancer"];

function loadBalancerChanges(before: LoadBalancerStatus, after: LoadBalancerStatus): readonly StatusChange[] {
  const said = (subject: string | null, text: string): StatusChange => ({ kind: "loadBalancer", subject, text });
  if (before === null && after === null) return [];
  if (before === null) return [said(null, `there is a load balancer at ${after?.endpoint}`)];
  if (after === null) return [said(null, "there is no load balancer any more")];
  const holderOf = ({ hosts = [] }: NonNullable<LoadBalancerStatus>): string | undefined =>
    hosts.find(({ virtualAddress }) => virtualAddress === "holder")?.name;
  const [held, holds] = [holderOf(before), holderOf(after)];
  // One that is unreachable may have it.
  const isHolderUnknown = (after.hosts ?? []).some(({ state }) => state === "unreachable");
  const single = before.hosts === undefined && after.hosts === undefined;
  return [
    ...(before.endpoint === after.endpoint
      ? []
      : [said(null, `the endpoint is ${after.endpoint} (was ${before.endpoint})`)]),
    ...(single ? partChanges("loadBalancer", "the load balancer", before, after) : []),
    ...pairs(before.hosts ?? [], after.hosts ?? []).flatMap(([was, is]) =>
      partChanges("loadBalancer", is.name, was, is),
    ),
    ...(held === holds || (holds === undefined && isHolderUnknown)
      ? []
      : [
          said(
            holds ?? null,
            holds === undefined
              ? `no host has the virtual address (had ${held})`
              : `${holds} has the virtual address${held === undefined ? "" : ` (had ${held})`}`,
          ),
        ]),
    ...targetChanges(before, after).map(([name, text]) => said(name, text)),
  ];
}

function targetChanges(
  { backends: before }: NonNullable<LoadBalancerStatus>,
  { backends: after }: NonNullable<LoadBalancerStatus>,
): readonly (readonly [string, string])[] {
  const [known, present] = [new Set(before.map(({ name }) => name)), new Set(after.map(({ name }) => name))];
  return [
    ...after.filter(({ name }) => !known.has(name)).map(({ name }) => [name, `target ${name} was added`] as const),
    ...before.filter(({ name }) => !present.has(name)).map(({ name }) => [name, `target ${name} was removed`] as const),
    ...pairs(before, after)
      .filter(([was, is]) => was.state !== is.state)
      .map(([was, is]) => [is.name, `target ${is.name} is ${is.state} (was ${was.state})`] as const),
  ];
}

const partTexts: Readonly<Record<PartState, string>> = {
  running: "runs",
  stopped: "does not run",
  unreachable: "is unreachable",
  absent: "does not exist",
};

function partChanges(
  kind: StatusChangeKind,
  subject: string,
  was: { readonly state: PartState },
  is: { readonly state: PartState },
): readonly StatusChange[] {
  return was.state === is.state ? [] : [{ kind, subject, text: `${subject} ${partTexts[is.state]}` }];
}

function flip(
  kind: StatusChangeKind,
  subject: string,
  was: boolean,
  is: boolean,
  good: string,
  bad: string,
): readonly StatusChange[] {
  return was === is ? [] : [{ kind, subject, text: `${subject} ${is ? good : bad}` }];
}

/** Those that are in both, by name. */
function pairs<Item extends { readonly name: string }>(
  before: readonly Item[],
  after: readonly Item[],
): readonly (readonly [Item, Item])[] {
  const known = new Map(before.map((item) => [item.name, item]));
  return after.flatMap((is) => {
    const was = known.get(is.name);
    return was === undefined ? [] : [[was, is] as const];
  });
}
