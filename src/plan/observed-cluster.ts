/**
 * The cluster as found: facts gathered by providers (machines, units, certificates) and through the members' public
 * API (membership), as plain values. `null` means looked for and not there; a fact that could not be gathered is in
 * `problems`.
 */
import type { Attributes } from "./resource.ts";

/** A process or service on a machine: an agent, a load balancer, a worker. */
export type ObservedUnit = {
  readonly name: string;
  readonly running: boolean;
  readonly pid: number | null;
  /** SHA-256 over the unit's definition (arguments, environment, files) as it was last put there. */
  readonly definitionDigest: string;
};

export type ObservedMachine = {
  readonly name: string;
  readonly address: string;
  /** Lineage label found on the machine: tells our own from a stranger's. */
  readonly lineage: string;
  readonly generation: number;
  /** Whether the agent's data directory holds anything. */
  readonly hasData: boolean;
  readonly units: readonly ObservedUnit[];
  /** What the provider found of the attributes that it describes machines by; absent where it looks for none. */
  readonly attributes?: Attributes;
};

/** A load balancer that runs on no machine of haplan's. */
export type ObservedLoadBalancer = {
  readonly running: boolean;
  /** Where clients reach it. */
  readonly address: string;
  /** What `ensure` returned under this name, unless somebody has changed it. */
  readonly definitionDigest: string;
};

/** A machine that could not be looked at. Nothing is known of what is on it. */
export type UnreachableMachine = { readonly name: string; readonly reason: string };

/** Why the machine could not be looked at; null for one that was. */
export function whyUnreachable(unreachable: readonly UnreachableMachine[], name: string): string | null {
  return unreachable.find((machine) => machine.name === name)?.reason ?? null;
}

/** Of several machines of one name, as there are while a master moves, the one that was made last. */
export function newestMachine(machines: readonly ObservedMachine[], name: string): ObservedMachine | undefined {
  return machines.filter((machine) => machine.name === name).sort((a, b) => b.generation - a.generation)[0];
}

/** A process that was started for a unit of this cluster, and runs although its machine is not there any more. */
export type ObservedOrphan = { readonly machine: string; readonly unit: string; readonly pid: number };

/** A certificate that is there with its key; whether it is still good is for the rules to say, with the time at hand. */
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
  /** It ends when its authority does: a new one would not live longer. */
  readonly endsWithAuthority: boolean;
};

export type ObservedPresentation = {
  /** The master's name. */
  readonly master: string;
  readonly port: "client" | "peer";
  readonly fingerprint: string;
  readonly notAfter: string;
};

export type ObservedAuthority = {
  readonly fingerprint: string;
  readonly notBefore: string;
  readonly notAfter: string;
  /** `mismatched`: there is a key, and it is not the key of this certificate. */
  readonly signingKey: "present" | "missing" | "mismatched";
  /** Where its files are, as a user would look for them. */
  readonly directory: string;
};

export type ObservedMember = {
  readonly id: string;
  /** Empty for a member that was added but has never started. */
  readonly name: string;
  readonly peerUrls: readonly string[];
  readonly clientUrls: readonly string[];
  /** Does not vote; in a joint change: does not vote in the incoming half. */
  readonly learner: boolean;
  /** Answered a serializable and, for voters, a linearizable read. */
  readonly healthy: boolean;
  readonly leader: boolean;
  readonly raftIndex: number | null;
  readonly raftTerm: number | null;
  readonly dbSizeBytes: number | null;
  /** The endpoint that was asked and where it answered; absent when it was not. */
  readonly answeredAt?: string;
  /** The version that it answers with; an agent tells the etcd version that it speaks. */
  readonly version?: string;
  /** Alarms and errors that it tells of itself, such as `alarm:NOSPACE`. */
  readonly alarms?: readonly string[];
};

export type ObservedMembership = {
  readonly clusterId: string;
  readonly members: readonly ObservedMember[];
  /** Ids of all voters of the outgoing half while a joint change is under way; empty otherwise. */
  readonly votersOutgoing: readonly string[];
  /** Log index of the last change of the membership; null where members do not tell, as with a real etcd. */
  readonly configurationIndex?: number | null;
  readonly hasLeader: boolean;
  /** What the members run, as they answer; absent when that is not known. */
  readonly engine?: "agent" | "etcd";
  /** Whom haplan asked as; absent where the cluster has no users, or a certificate says who asks. */
  readonly user?: { readonly name: string; readonly root: boolean };
  /** Endpoints that answered for another cluster, with its id. */
  readonly strangers?: readonly { readonly endpoint: string; readonly clusterId: string }[];
};

export type ObservationProblem = {
  readonly subject: string;
  readonly message: string;
  /** haplan has nothing to identify itself with: what the members would have said is not known, which is not silence. */
  readonly notAuthenticated?: true;
};

export type ObservedCluster = {
  readonly machines: readonly ObservedMachine[];
  /** Machines that are in neither list are not there. Absent when all could be looked at. */
  readonly unreachable?: readonly UnreachableMachine[];
  /** Absent where it runs on machines, among whose units it is; null where there is none yet. */
  readonly loadBalancer?: ObservedLoadBalancer | null;
  readonly orphans: readonly ObservedOrphan[];
  readonly authority: ObservedAuthority | null;
  readonly certificates: readonly ObservedCertificate[];
  /** What the ports of the masters show, which is not always what is in their files; absent when nobody was asked. */
  readonly presented?: readonly ObservedPresentation[];
  /** null when no member answered at all. */
  readonly membership: ObservedMembership | null;
  /** Backends the load balancer serves, by master name. */
  readonly backends: readonly { readonly name: string; readonly attributes: Attributes }[];
  readonly problems: readonly ObservationProblem[];
};
