/** The status of a cluster: all members, the quorum, the load balancer and the workers. */
import type { CommandWords } from "../../../src/base/command-words.ts";
import { freeBytesMin } from "../../../src/units/data-disk.ts";
import type { CertificateStatus } from "../certificate-status.ts";
import type { Paint } from "../paint.ts";
import { certificateLines } from "./certificates-view.ts";
import { snakeKeys } from "./snake-keys.ts";
import { table } from "./table.ts";

/**
 * `unreachable`: it does not answer; `stopped`: nor does its process run; `absent`: there is no machine for it, and its host
 * or provider answers.
 */
export type MemberRole = "leader" | "follower" | "learner" | SilentRole | "unknown";
export type SilentRole = "unreachable" | "stopped" | "absent";

/** Whether the member does not answer, whatever the reason. */
export function isDown({ role }: Pick<MemberStatus, "role">): boolean {
  return role === "unreachable" || role === "stopped" || role === "absent";
}

/** Of what runs on a machine beside members: as for these. Nothing more is known of what is unreachable. */
export type PartState = "running" | SilentRole;

export type MemberStatus = {
  readonly name: string;
  readonly zone: string | null;
  /** Null if it did not answer. */
  readonly version: string | null;
  /** Log entries behind the leader; null if unknown. */
  readonly lag: number | null;
  /** Alarms and errors that the member reports. */
  readonly alarms: readonly string[];
  /** Member id in hexadecimal, as etcdctl shows it; null if unknown. */
  readonly id: string | null;
  readonly role: MemberRole;
  readonly clientUrl: string | null;
  readonly peerUrl: string | null;
  /** Of its process, on its own machine; null if unknown. */
  readonly pid: number | null;
  /** Why its machine is unreachable; null if it is not. The member may answer all the same. */
  readonly unreachable: string | null;
  readonly raftTerm: number | null;
  readonly raftIndex: number | null;
  readonly dbSizeBytes: number | null;
  /** How long a linearizable read at it took; null if it did not answer one. */
  readonly readLatencyMs: number | null;
  /** Free on the disk of its data directory; null if unknown. */
  readonly freeBytes: number | null;
  readonly healthy: boolean;
};

/** What was begun, has to be completed before anything else, and by which command. */
export type InterruptedRestore = { readonly kind: "restore" | "recover"; readonly backup: string };

export type ClusterStatus = {
  readonly cluster: string;
  /** Null if no restore and no recovery was interrupted. */
  readonly interrupted: InterruptedRestore | null;
  /** Why the state was not read: what only it has is missing. Null if it was read, or there is none. */
  readonly stateUnread: string | null;
  readonly members: readonly MemberStatus[];
  /** Masters of the spec that are no members of the cluster; none while no member answers. */
  readonly notMembers: readonly string[];
  readonly voters: number;
  readonly healthyVoters: number;
  readonly quorum: number;
  /** How many voters may fail if all are healthy. */
  readonly faultTolerance: number;
  /** How many more may fail now; null while there is no quorum. */
  readonly canLose: number | null;
  readonly hasLeader: boolean;
  /** Why haplan cannot authenticate to the members; null if it can. */
  readonly notAuthenticated: string | null;
  readonly certificates: readonly CertificateStatus[];
  /** Null if there is none. */
  readonly loadBalancer: {
    readonly type: string;
    readonly endpoint: string;
    readonly running: boolean;
    readonly state: PartState;
    /** Why its machine is unreachable; null if it is not. */
    readonly unreachable: string | null;
    readonly pid: number | null;
    readonly backends: readonly { readonly name: string; readonly state: string }[];
    /** Absent if there is one, on a machine of its own. */
    readonly hosts?: readonly {
      readonly name: string;
      /** Whether it is known to run. */
      readonly running: boolean;
      readonly state: PartState;
      readonly unreachable: string | null;
      readonly pid: number | null;
      /** `holder`, `backup` or `fault`; null if it is unknown or there is no virtual address. */
      readonly virtualAddress: string | null;
    }[];
  } | null;
  readonly workers: readonly {
    readonly name: string;
    readonly address: string;
    readonly running: boolean;
    readonly state: PartState;
    readonly unreachable: string | null;
    readonly pid: number | null;
    /** Its lease is alive: it reaches the control plane through the load balancer. Null if that cannot be read. */
    readonly reporting: boolean | null;
  }[];
  /** In the order of the spec. */
  readonly unreachable: readonly UnreachableMachine[];
};

export type UnreachableMachine = { readonly name: string; readonly reason: string };

export function statusToJson(status: ClusterStatus): object {
  return { format_version: "2.0", ...(snakeKeys(status) as object) };
}

/** `lineOf` prints a command with the flags that select the cluster. */
export function renderStatus(status: ClusterStatus, paint: Paint, lineOf: (command: CommandWords) => string): string {
  const unfinished = interruptedLines(status, paint, lineOf);
  const unreachable = unreachableLines(status, paint);
  if (status.members.length === 0 && (unreachable.length > 0 || status.stateUnread !== null)) {
    const none =
      status.stateUnread === null
        ? `haplan's state has no member of cluster "${status.cluster}", and none answers.`
        : `No member of cluster "${status.cluster}" answers, and its state was not read.`;
    return [none, ...unfinished, ...unreachable].join("\n");
  }
  if (status.members.length === 0) {
    const none = `There is no cluster "${status.cluster}".`;
    return unfinished.length > 0
      ? [none, ...unfinished].join("\n")
      : `${none} haplan's state has none here: if it was made elsewhere, run haplan there. To create it, run:\n    ${lineOf(["apply"])}`;
  }
  const rows = status.members.map((member) => [
    member.name,
    member.id ?? "-",
    member.zone ?? "-",
    paintRole(member, paint),
    member.clientUrl ?? "-",
    member.pid === null ? "-" : String(member.pid),
    member.raftTerm === null ? "-" : String(member.raftTerm),
    member.raftIndex === null ? "-" : String(member.raftIndex),
    member.lag === null ? "-" : String(member.lag),
    member.dbSizeBytes === null ? "-" : size(member.dbSizeBytes),
    member.version ?? "-",
  ]);
  return [
    paint.bold(`Cluster ${status.cluster}`),
    "",
    ...(unfinished.length === 0 ? [] : [...unfinished, ""]),
    ...table(
      ["MEMBER", "ID", "ZONE", "ROLE", "CLIENT URL", "PID", "TERM", "INDEX", "LAG", "DB", "VERSION"],
      rows,
      paint,
    ),
    "",
    quorumLine(status, paint),
    ...notMemberLines(status, paint, lineOf),
    ...status.members.flatMap(({ name, alarms }) => alarms.map((alarm) => paint.red(`Alarm at ${name}: ${alarm}`))),
    ...fullDiskLines(status, paint),
    ...certificateLines(status.certificates, paint),
    ...loadBalancerLines(status, paint),
    ...workerLines(status, paint),
    ...unreachable,
  ].join("\n");
}

function fullDiskLines({ members }: ClusterStatus, paint: Paint): readonly string[] {
  return members.flatMap(({ name, freeBytes }) =>
    freeBytes === null || freeBytes >= freeBytesMin
      ? []
      : [
          paint.red(
            `Disk of ${name} almost full: ${size(freeBytes)} free. The member stops when it can no longer write.`,
          ),
        ],
  );
}

function paintRole({ role, healthy }: MemberStatus, paint: Paint): string {
  if (isDown({ role })) return paint.red(role);
  if (role === "unknown") return paint.yellow(role);
  if (!healthy) return paint.yellow(`${role} (not healthy)`);
  return role === "leader" ? paint.green(role) : role;
}

function interruptedLines(
  { interrupted }: ClusterStatus,
  paint: Paint,
  lineOf: (command: CommandWords) => string,
): readonly string[] {
  if (interrupted === null) return [];
  return [
    paint.red(`${interruptedText(interrupted)}. To complete it, run:`),
    `    ${lineOf(interruptedCommand(interrupted))}`,
  ];
}

/** Without its final stop. */
export function interruptedText({ kind, backup }: InterruptedRestore): string {
  const what = kind === "restore" ? `A restore of ${backup}` : `A recovery from ${backup}`;
  return `${what} was interrupted, and is not complete`;
}

export function interruptedCommand({ kind, backup }: InterruptedRestore): CommandWords {
  return kind === "restore" ? ["restore", backup] : ["recover"];
}

function quorumLine(status: ClusterStatus, paint: Paint): string {
  const { voters, healthyVoters, quorum, canLose, hasLeader, notAuthenticated, interrupted } = status;
  if (notAuthenticated !== null) return paint.red(`Quorum: unknown. haplan ${notAuthenticated}`);
  const counts = `${healthyVoters} of ${voters} voters healthy, quorum ${quorum}`;
  if (canLose === null)
    return paint.red(
      interrupted === null
        ? `No quorum: ${counts}. Writes fail until more members are back; if they are lost for good, haplan recover rebuilds the cluster.`
        : `No quorum: ${counts}. Writes fail until that is complete.`,
    );
  const leader = hasLeader ? "" : paint.yellow(" No leader at the moment.");
  const tolerance =
    canLose === 0 ? paint.yellow("no further failure") : `${canLose} more ${canLose === 1 ? "failure" : "failures"}`;
  const even =
    voters % 2 === 0 ? paint.yellow(` ${voters} voters survive no more failures than ${voters - 1} would.`) : "";
  return `Quorum: ${counts}; survives ${tolerance}.${even}${leader}`;
}

function notMemberLines(
  { notMembers }: ClusterStatus,
  paint: Paint,
  lineOf: (command: CommandWords) => string,
): readonly string[] {
  if (notMembers.length === 0) return [];
  const names = notMembers.join(", ");
  const what =
    notMembers.length === 1
      ? `Master ${names} of the spec is no member of the cluster. To see what adds it, run:`
      : `Masters ${names} of the spec are no members of the cluster. To see what adds them, run:`;
  return [paint.yellow(what), `    ${lineOf(["plan"])}`];
}

function loadBalancerLines({ loadBalancer }: ClusterStatus, paint: Paint): readonly string[] {
  if (loadBalancer === null) return ["Load balancer: none"];
  const { type, endpoint, backends, hosts } = loadBalancer;
  const served = backends.map(
    ({ name, state: backend }) => `${name} ${backend === "ready" ? backend : paint.yellow(backend)}`,
  );
  const targets = served.length === 0 ? "" : `; ${served.join(", ")}`;
  if (hosts === undefined)
    return [`Load balancer: ${endpoint} (${type}, ${processState(loadBalancer, paint)})${targets}`];
  return [
    `Load balancer: ${endpoint} (${type})${targets}`,
    ...hosts.map((host) => {
      const { name, running, virtualAddress } = host;
      const has = virtualAddress === null ? "" : `, ${addressState(virtualAddress, paint)}`;
      return `  ${name}: ${processState(host, paint)}${running ? has : ""}`;
    }),
  ];
}

function processState(
  { state, pid }: { readonly state: PartState; readonly pid: number | null },
  paint: Paint,
): string {
  if (state === "running") return `running${pid === null ? "" : `, pid ${pid}`}`;
  return state === "unreachable" ? paint.yellow(state) : paint.red(state === "stopped" ? "not running" : state);
}

function addressState(state: string, paint: Paint): string {
  if (state === "fault") return paint.red("cannot take the virtual address");
  return state === "holder" ? paint.green("has the virtual address") : "can take the virtual address";
}

function workerLines({ workers }: ClusterStatus, paint: Paint): readonly string[] {
  return workers.map((worker) => {
    const { name, address, reporting } = worker;
    const state = processState(worker, paint);
    const report =
      reporting === null ? "" : reporting ? ", reporting through the load balancer" : paint.yellow(", not reporting");
    return `Worker ${name}: ${address} (${state}${report})`;
  });
}

function unreachableLines({ unreachable }: ClusterStatus, paint: Paint): readonly string[] {
  return unreachable.map(({ name, reason }) => paint.yellow(`Machine ${name} is unreachable: ${reason}`));
}

/** For standard error; null if the state was read. */
export function stateUnreadWarning({ stateUnread }: ClusterStatus): string | null {
  if (stateUnread === null) return null;
  return `Warning: the state was not read, and this is what the members and machines of the spec say. ${stateUnread}`;
}

/** For standard error; null if every machine was reached. */
export function unreachableWarning({ unreachable }: ClusterStatus): string | null {
  if (unreachable.length === 0) return null;
  const names = unreachable.map(({ name }) => name).join(", ");
  return unreachable.length === 1
    ? `Warning: machine ${names} was not reached: what runs there is unknown`
    : `Warning: ${unreachable.length} machines were not reached, and what runs there is unknown: ${names}`;
}

function size(bytes: number): string {
  if (bytes < 1024 * 1024) return `${Math.ceil(bytes / 1024)} kB`;
  return `${(bytes / 1024 / 1024).toFixed(1)} MB`;
}
