/**
 * Every change that haplan can make, as one tagged union. A step is a value: it names the action and its object, and
 * contains everything that apply needs, so that apply decides nothing.
 */

import type { InitialCluster } from "../units/initial-cluster.ts";
import type { LoadBalancerTargets } from "../units/load-balancer-targets.ts";
import type { Survivor } from "./recover-request.ts";
import type { Attributes, ResourceAddress } from "./resource.ts";

/** A member in a step. `memberId` is null for one that this plan adds: its id is known once it is added. */
export type MemberRef = { readonly name: string; readonly memberId: string | null };

export type StepAction =
  | { readonly kind: "createAuthority" }
  /** A new certificate for the authority's name and key; `replaces` is the fingerprint of the current one. */
  | { readonly kind: "renewAuthority"; readonly replaces: string }
  /** Creates the authority that is to replace the present one: it is trusted and does not sign yet. */
  | { readonly kind: "addAuthority"; readonly commonName: string }
  /** The next authority signs from now on. */
  | { readonly kind: "activateAuthority" }
  /** The previous authority is removed from those that are trusted. */
  | { readonly kind: "dropAuthority" }
  /** Issue or reissue; `profile` is the certificate's key usage. */
  | {
      readonly kind: "issueCertificate";
      readonly name: string;
      readonly profile: "member" | "client";
      readonly commonName: string;
      readonly subjectAltNames: readonly string[];
      /** Fingerprint of the replaced certificate; absent for a first one. */
      readonly replaces?: string;
    }
  | {
      readonly kind: "createMachine";
      readonly machine: string;
      readonly address: string;
      readonly zone: string | null;
      readonly generation: number;
      /** The provider's attributes; absent if it has none. */
      readonly attributes?: Attributes;
      /** Generation of the machine of the same name that stays until this one has replaced it. */
      readonly deposes?: number;
      /** Generation of the machine of the same name that is unreachable elsewhere: the state keeps where it is. */
      readonly abandons?: number;
    }
  /** The attributes that the provider can change while the machine runs. */
  | {
      readonly kind: "updateMachine";
      readonly machine: string;
      readonly attributes: Attributes;
      /** The agent of the machine has been stopped: the provider may put another machine in its place, with the same data. */
      readonly agentStopped?: true;
    }
  /** Renames a master with everything that belongs to it. */
  | { readonly kind: "renameMaster"; readonly from: string; readonly to: string }
  /** With all of its generations, or only one. */
  | { readonly kind: "destroyMachine"; readonly machine: string; readonly generation?: number }
  /**
   * Writes the agent's unit and starts it. `join` is null for one that joins a running cluster: it gets the members at
   * the moment of its start, because earlier steps of the same plan may have changed them.
   */
  | { readonly kind: "startAgent"; readonly member: string; readonly join: InitialCluster | null }
  /** The agent's configuration changed: writes it and restarts, one member at a time. */
  | { readonly kind: "updateAgent"; readonly member: string; readonly join: InitialCluster }
  /**
   * The agent is started with another version of haplan's programs, and with whatever else has changed. If it does not become
   * healthy and stay so for the policy's time, it gets its former version back, and the step fails. `from`: null if unknown.
   */
  | {
      readonly kind: "upgradeAgent";
      readonly member: string;
      readonly join: InitialCluster;
      readonly from: string | null;
      readonly to: string;
    }
  /** The agent's certificate or trusted authorities changed: writes them; the agent reloads them without a restart. */
  | {
      readonly kind: "reloadAgent";
      readonly member: string;
      readonly join: InitialCluster;
      /** Only the authorities that it trusts change. */
      readonly authorities?: true;
    }
  /**
   * The agent is down but its data is intact: starts it as it was. `unlessAnswers`: its process runs and did not answer; it is asked
   * again right before, and left alone if it does by then.
   */
  | {
      readonly kind: "restartAgent";
      readonly member: string;
      readonly join: InitialCluster | null;
      readonly unlessAnswers?: true;
    }
  /** On the newest machine of this name; `generation` names another one, whose member does not vote. */
  /** `memberId`: of the two of its name, the one that still votes when it stops. */
  | {
      readonly kind: "stopAgent";
      readonly member: string;
      readonly generation?: number;
      readonly memberId?: string;
    }
  /** Waits until these members are healthy and the cluster answers a linearizable read. */
  | {
      readonly kind: "awaitQuorum";
      readonly members: readonly string[];
      /** How long they have to stay healthy, since they run another program; absent: a few samples do. */
      readonly steadyMs?: number;
    }
  /**
   * Checks, over several samples, that these members are healthy and stable, of one cluster, without alarms and the
   * only voters; later steps do not depend on the result otherwise. What is found is recorded in the state.
   */
  | {
      readonly kind: "checkMembers";
      readonly clusterId: string;
      readonly members: readonly {
        readonly name: string;
        readonly memberId: string;
        readonly clientUrl: string;
        readonly peerUrl: string;
      }[];
    }
  /**
   * Writes all that the stopped member has to a snapshot on haplan's machine, once it is certain that no other survivor has
   * more.
   */
  | {
      readonly kind: "saveSurvivor";
      readonly member: string;
      readonly survivors: readonly Survivor[];
      readonly snapshot: string;
      readonly sizeBytes: number;
    }
  /**
   * Replaces the data of a member that is stopped by that of a snapshot, as a member of the new cluster `join`. `token`: with
   * the state's lineage, the token of that cluster. The former data stays on the machine until the next restore.
   */
  | {
      readonly kind: "restoreMember";
      readonly member: string;
      readonly source: {
        /** A path on haplan's machine. */
        readonly snapshot: string;
        readonly sizeBytes: number;
      };
      readonly bumpRevision: number;
      /** The cluster whose place the new one takes; null if there is none, or its id is unknown. */
      readonly replacesCluster: string | null;
      readonly token: string;
      readonly join: InitialCluster;
    }
  /** Keeps a snapshot of the data beside the state; if `required`, a failure is an error. */
  | { readonly kind: "takeSnapshot"; readonly required: boolean }
  | { readonly kind: "addLearner"; readonly member: string; readonly peerUrl: string }
  /** `memberId` is null for a learner that this plan adds. */
  | {
      readonly kind: "awaitCatchUp";
      readonly member: string;
      readonly memberId: string | null;
      readonly maxLagEntries: number;
      /** How long it has to stay so, with one process, since it runs another program than members of now; absent: a few samples do. */
      readonly steadyMs?: number;
    }
  /** One joint change from one set of voters to another, odd one. Sorted by name. */
  | {
      readonly kind: "changeVoters";
      /** `direct`: a real etcd, which promotes one learner and has no joint configurations. */
      readonly manner: "joint" | "direct";
      readonly from: readonly MemberRef[];
      readonly to: readonly MemberRef[];
    }
  /** Removes a member. With a real etcd also one that votes: its vote goes with it. */
  | { readonly kind: "removeMember"; readonly member: string; readonly memberId: string }
  /** Changes the peer URL at which the members reach this one: its own configuration follows at once. */
  | { readonly kind: "updateMember"; readonly member: string; readonly memberId: string; readonly peerUrl: string }
  | { readonly kind: "moveLeader"; readonly from: MemberRef; readonly to: MemberRef }
  | ({ readonly kind: "startLoadBalancer" } & LoadBalancerTargets)
  | ({ readonly kind: "updateLoadBalancer" } & LoadBalancerTargets)
  /** `balancer` is absent for a single one. */
  | { readonly kind: "stopLoadBalancer"; readonly balancer?: string }
  | { readonly kind: "startWorker"; readonly worker: string }
  | { readonly kind: "stopWorker"; readonly worker: string }
  /** kubeadm's configuration, and with TLS etcd's certificates, in the places where kubeadm looks for them. */
  | { readonly kind: "writeKubeadmConfig"; readonly host: string }
  | { readonly kind: "removeKubeadmConfig"; readonly host: string }
  /**
   * Runs kubeadm on a host, and waits until it is a node. `init` creates the Kubernetes cluster; others join through
   * one of the control planes `via`.
   */
  | {
      readonly kind: "bootstrapNode";
      readonly host: string;
      readonly manner: "init" | "controlPlane" | "worker";
      readonly via: readonly string[];
    }
  /**
   * Records in the state what was found, or forgets what is gone; changes nothing else. `reinstates`: of two machines
   * of one name, the generation that has the name again.
   */
  | {
      readonly kind: "recordState";
      readonly reinstates?: readonly { readonly name: string; readonly generation: number }[];
    }
  | { readonly kind: "removeCertificate"; readonly name: string }
  /** The last step of destroy: removes CA and certificates. */
  | { readonly kind: "removeAuthority" };

export type Step = {
  /** Unique within a plan, derived from the action: `startAgent:m1`. */
  readonly id: string;
  /** One line as text: `start agent m1`. */
  readonly title: string;
  readonly action: StepAction;
  /** Resources that this step brings to their wanted (or absent) condition. */
  readonly addresses: readonly ResourceAddress[];
  /** Ids of steps that must be complete before. */
  readonly after: readonly string[];
};
