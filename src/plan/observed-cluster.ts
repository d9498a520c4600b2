/**
 * The cluster as observed: machines, units and certificates from providers, the membership from the members' public
 * API, as plain values. `null` means looked for and not found; what could not be observed is in `problems`.
 */
import type { Diagnostic } from "../base/diagnostic.ts";
import type { InitialCluster } from "../units/initial-cluster.ts";
import type { Attributes } from "./resource.ts";

/** A process or service on a machine: an agent, a load balancer, a worker. */
export type ObservedUnit = {
  readonly name: string;
  readonly running: boolean;
  readonly pid: number | null;
  /** SHA-256 over the unit's definition (arguments, environment, files) as it was last written. */
  readonly definitionDigest: string;
  /** Paths of its files that were changed or removed by others; absent if there are none, or the provider cannot tell. */
  readonly changedFiles?: readonly string[];
  /** Its process runs as another user than units do by now; absent if it does not, or the provider cannot tell. */
  readonly formerUser?: FormerUser;
  /** Paths of files of others that override its definition, such as drop-ins of systemd; absent if there are none. */
  readonly overrides?: readonly string[];
  /** The files that it watches and that exist; absent if there are none. */
  readonly present?: readonly string[];
  /** Names of tasks that were started for it; absent if there were none. */
  readonly tasks?: readonly string[];
  /** The version of haplan's programs that it was started with; absent if unknown. */
  readonly artifact?: string;
  /** The address that it is to hold, whether it does now or not; absent for units that hold none, or if unknown. */
  readonly virtualAddress?: string;
  /** What an agent was started with; absent for other units, and if unknown. */
  readonly initialCluster?: InitialCluster;
  /** The arguments of an agent, as its unit has them; absent for other units, and if unknown. */
  readonly arguments?: readonly string[];
};

/** As `user:group`, by their ids. */
export type FormerUser = {
  readonly runsAs: string;
  /** Null if there is no user for units any more. */
  readonly present: string | null;
};

export type ObservedMachine = {
  readonly name: string;
  readonly address: string;
  /** Lineage label of the machine: distinguishes the cluster's own machines from those of others. */
  readonly lineage: string;
  readonly generation: number;
  /** Whether the agent's data directory has a log: without one, its member can only be replaced. */
  readonly hasData: boolean;
  /** The data directory has files and no log: no member starts on them. */
  readonly hasRemains?: true;
  /** Free on the file system of the data directory; absent if the provider cannot tell. */
  readonly freeBytes?: number;
  readonly units: readonly ObservedUnit[];
  /** Values of the spec for what the machine has, where the state has other words for it; absent if there are none. */
  readonly inOtherWords?: Attributes;
  /** Observed values of the provider's machine attributes; absent if the provider has none. */
  readonly attributes?: Attributes;
  /** It is unreachable: this is what the state has of it. */
  readonly remembered?: true;
};

/** A load balancer that runs on no machine of haplan's. */
export type ObservedLoadBalancer = {
  readonly running: boolean;
  /** Its address for clients. */
  readonly address: string;
  /** The value that `ensure` returned under this name, unless it was changed since. */
  readonly definitionDigest: string;
};

/** An unreachable machine. Nothing is known about its content. */
export type UnreachableMachine = {
  readonly name: string;
  readonly reason: string;
  /** Its host answers, but has lost haplan's programs, which apply installs again before it plans. */
  readonly programsMissing?: true;
  /** Its host answers, but does not let haplan in, or shows a key that is not known. */
  readonly refused?: true;
  /** The host that the spec has it on, while the state still has it on another one. */
  readonly isNewHost?: true;
  /** Its host answers, and on it the member's process, which haplan cannot call from its own machine. */
  readonly uncalled?: true;
};

/** An object of a cloud that is labeled with a cluster's name. */
export type LabeledObject = {
  /** `the security group sg-0a (haplan-cloud-masters)` */
  readonly what: string;
  readonly lineage: string;
};

/** Why the machine is unreachable; null if it is not. */
export function whyUnreachable(unreachable: readonly UnreachableMachine[], name: string): string | null {
  return unreachable.find((machine) => machine.name === name)?.reason ?? null;
}

/** Whether `-replace` names the machine, which is unreachable. */
export function isAbandoned({ abandoned = [] }: ObservedCluster, name: string): boolean {
  return whyUnreachable(abandoned, name) !== null;
}

/** The newest of several machines of one name, which exist while a master moves. */
export function newestMachine(machines: readonly ObservedMachine[], name: string): ObservedMachine | undefined {
  return machines.filter((machine) => machine.name === name).sort((a, b) => b.generation - a.generation)[0];
}

/** A process that was started for a unit of this cluster, and still runs although its machine no longer exists. */
export type ObservedOrphan = { readonly machine: string; readonly unit: string; readonly pid: number };

/** An existing certificate with its key; the rules decide whether it is still valid at the time of the plan. */
export type ObservedCertificate = {
  readonly name: string;
  readonly fingerprint: string;
  /** `member`: for servers and clients; `client`: for clients only. */
  readonly profile: "member" | "client";
  readonly subjectAltNames: readonly string[];
  readonly notBefore: string;
  readonly notAfter: string;
  /** Signed by the authority that is in the directory now. */
  readonly trusted: boolean;
  /** Signed by an authority that the one in the directory has replaced, and that is still trusted. */
  readonly signedByPrevious?: true;
  /** It expires with its authority: a new one would not be valid longer. */
  readonly endsWithAuthority: boolean;
};

export type ObservedPresentation = {
  /** The master's name. */
  readonly master: string;
  readonly port: "client" | "peer";
  readonly fingerprint: string;
  readonly notAfter: string;
  /** No authority that haplan has, here, has issued it. */
  readonly foreignIssuer?: true;
};

/** An authority that is trusted beside the one that signs. */
export type TrustedAuthority = {
  readonly fingerprint: string;
  readonly commonName: string;
  readonly notBefore: string;
  readonly notAfter: string;
};

/** The authority that signs. */
export type ObservedAuthority = {
  readonly fingerprint: string;
  readonly commonName: string;
  readonly notBefore: string;
  readonly notAfter: string;
  /** `mismatched`: there is a key, but it is not the key of this certificate. */
  readonly signingKey: "present" | "missing" | "mismatched";
  /** The one that is to replace it, trusted already; absent unless it is being replaced. */
  readonly next?: TrustedAuthority;
  /** Those that it has replaced, still trusted; absent if there are none. */
  readonly previous?: readonly TrustedAuthority[];
  /** Whether the previous one has signed its certificate, so that clients which trust only that one accept both. */
  readonly crossSigned?: boolean;
  /** The path of its files, for messages. */
  readonly directory: string;
};

export type ObservedMember = {
  readonly id: string;
  /** Empty for a member that was added but has never started. */
  readonly name: string;
  readonly peerUrls: readonly string[];
  readonly clientUrls: readonly string[];
  /** A non-voter; in a joint change: a non-voter of the incoming half. */
  readonly learner: boolean;
  /** Answered a serializable and, for voters, a linearizable read. */
  readonly healthy: boolean;
  readonly leader: boolean;
  readonly raftIndex: number | null;
  readonly raftTerm: number | null;
  readonly dbSizeBytes: number | null;
  /** The endpoint that answered; absent if it did not answer. */
  readonly answeredAt?: string;
  /** The version that it reports; an agent reports the etcd version that it implements. */
  readonly version?: string;
  /** Alarms and errors that it reports, such as `alarm:NOSPACE`. */
  readonly alarms?: readonly string[];
  /** How long a linearizable read at it took; absent if it did not answer one. */
  readonly readLatencyMs?: number;
  /** It did not answer haplan, but answers the leader; absent where the leader does not say so. */
  readonly heardByLeader?: true;
  /** haplan cannot call it, and its process answers on its own host. */
  readonly answersItsHost?: true;
};

export type ObservedMembership = {
  readonly clusterId: string;
  readonly members: readonly ObservedMember[];
  /** Ids of all voters of the outgoing half during a joint change; otherwise empty. */
  readonly votersOutgoing: readonly string[];
  /** Log index of the last membership change; null if members do not report it, as with a real etcd. */
  readonly configurationIndex?: number | null;
  readonly hasLeader: boolean;
  /** The latest revision that a member reports; absent if none does. */
  readonly revision?: number;
  /** The members' engine, from their answers; absent if unknown. */
  readonly engine?: "agent" | "etcd";
  /**
   * The user that haplan authenticated as; absent if the cluster has no users, or a certificate identifies the caller.
   */
  readonly user?: { readonly name: string; readonly root: boolean };
  /** Endpoints that answered for another cluster, with its id. */
  readonly foreignEndpoints?: readonly { readonly endpoint: string; readonly clusterId: string }[];
};

export type ObservationProblem = {
  readonly subject: string;
  readonly message: string;
  /** haplan has no credentials: the members' answers are unknown, which is different from no answer. */
  readonly notAuthenticated?: true;
};

export type ObservedCluster = {
  readonly machines: readonly ObservedMachine[];
  /** Machines in neither list do not exist. Absent if all could be observed. */
  readonly unreachable?: readonly UnreachableMachine[];
  /** Unreachable machines that `-replace` names: planned as if they were gone. What is on them stays there. */
  readonly abandoned?: readonly UnreachableMachine[];
  /** Absent if it runs on machines, where it is one of the units; null if there is none yet. */
  readonly loadBalancer?: ObservedLoadBalancer | null;
  readonly orphans: readonly ObservedOrphan[];
  readonly authority: ObservedAuthority | null;
  readonly certificates: readonly ObservedCertificate[];
  /**
   * Certificates presented on the ports of the masters, which may differ from their files; absent if none was queried.
   */
  readonly presented?: readonly ObservedPresentation[];
  /** Null if no member answered. */
  readonly membership: ObservedMembership | null;
  /** Backends that the load balancer serves, by master name. */
  readonly backends: readonly { readonly name: string; readonly attributes: Attributes }[];
  readonly problems: readonly ObservationProblem[];
  /** Warnings of the provider: what differs from the spec, and no step changes. */
  readonly warnings?: readonly Diagnostic[];
  /** Objects of other clusters with this cluster's name; absent if there are none. */
  readonly foreign?: readonly LabeledObject[];
};
