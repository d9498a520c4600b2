/**
 * Every change that haplan can make to the world, as one tagged union. A step is a value: it names what is to be done
 * and to what, and carries all that apply needs to do it, so that apply decides nothing.
 */

import type { JoinFacts } from "../units/join-facts.ts";
import type { LoadBalancerTargets } from "../units/load-balancer-targets.ts";
import type { Attributes, ResourceAddress } from "./resource.ts";

/** A member in a step. `memberId` is null for one that this plan adds: its id is known once it is added. */
export type MemberRef = { readonly name: string; readonly memberId: string | null };

export type StepAction =
  | { readonly kind: "createAuthority" }
  /** A new certificate for the authority's name and key; `replaces` is the fingerprint of the present one. */
  | { readonly kind: "renewAuthority"; readonly replaces: string }
  /** Issue or reissue; `profile` says what the certificate may do. */
  | {
      readonly kind: "issueCertificate";
      readonly name: string;
      readonly profile: "member" | "client";
      readonly commonName: string;
      readonly subjectAltNames: readonly string[];
      /** Fingerprint of the certificate that it replaces; absent for a first one. */
      readonly replaces?: string;
    }
  | {
      readonly kind: "createMachine";
      readonly machine: string;
      readonly address: string;
      readonly zone: string | null;
      readonly generation: number;
      /** What the provider has described it by; absent where that is nothing. */
      readonly attributes?: Attributes;
      /** Generation of the machine of the same name that stays until this one has taken its place. */
      readonly deposes?: number;
    }
  /** What the provider can change of a machine while it runs. */
  | { readonly kind: "updateMachine"; readonly machine: string; readonly attributes: Attributes }
  /** The master that had the one name has the other from now on, with all that is there. */
  | { readonly kind: "renameMaster"; readonly from: string; readonly to: string }
  /** With all of its generations, or only one. */
  | { readonly kind: "destroyMachine"; readonly machine: string; readonly generation?: number }
  /**
   * Put the agent there and start it. `join` is null for one that joins a running cluster: it is told the members as they
   * are at the moment it starts, since earlier steps of the same plan may have changed them.
   */
  | { readonly kind: "startAgent"; readonly member: string; readonly join: JoinFacts | null }
  /** The agent's configuration changed: put it there and restart, one member at a time. */
  | { readonly kind: "updateAgent"; readonly member: string; readonly join: JoinFacts }
  /** The agent's certificate changed: put it there; the agent takes it up without a restart. */
  | { readonly kind: "reloadAgent"; readonly member: string; readonly join: JoinFacts }
  /** The agent is down but its data is there: start it as it was. */
  | { readonly kind: "restartAgent"; readonly member: string; readonly join: JoinFacts | null }
  /** On the newest machine of this name; `generation` names another one, whose member does not vote. */
  | { readonly kind: "stopAgent"; readonly member: string; readonly generation?: number }
  /** Wait until these members are healthy and the cluster answers a linearizable read. */
  | { readonly kind: "awaitQuorum"; readonly members: readonly string[] }
  /**
   * Look, over several samples, whether these members are healthy and stable, of one cluster, without alarms and the
   * only voters; nothing that comes after is done otherwise. What is found goes into the state.
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
  /** Keep a snapshot of the data beside the state; when `required`, going on without one is an error. */
  | { readonly kind: "takeSnapshot"; readonly required: boolean }
  | { readonly kind: "addLearner"; readonly member: string; readonly peerUrl: string }
  /** `memberId` is null for a learner that this plan adds. */
  | {
      readonly kind: "awaitCatchUp";
      readonly member: string;
      readonly memberId: string | null;
      readonly maxLagEntries: number;
    }
  /** One joint change from one set of voters to another, odd one. Sorted by name. */
  | {
      readonly kind: "changeVoters";
      /** `direct`: a real etcd, which promotes one learner and knows no joint configuration. */
      readonly manner: "joint" | "direct";
      readonly from: readonly MemberRef[];
      readonly to: readonly MemberRef[];
    }
  /** Forget a member. With a real etcd also one that votes: its vote goes with it. */
  | { readonly kind: "removeMember"; readonly member: string; readonly memberId: string }
  /** The members reach this one by another peer URL from now on: its own configuration follows at once. */
  | { readonly kind: "updateMember"; readonly member: string; readonly memberId: string; readonly peerUrl: string }
  | { readonly kind: "moveLeader"; readonly from: MemberRef; readonly to: MemberRef }
  | ({ readonly kind: "startLoadBalancer" } & LoadBalancerTargets)
  | ({ readonly kind: "updateLoadBalancer" } & LoadBalancerTargets)
  | { readonly kind: "stopLoadBalancer" }
  | { readonly kind: "startWorker"; readonly worker: string }
  | { readonly kind: "stopWorker"; readonly worker: string }
  /**
   * Nothing to do in the world: write into the state what was found there, or forget what is gone. `reinstates`: of two
   * machines of one name, the generation that has the name again.
   */
  | {
      readonly kind: "recordState";
      readonly reinstates?: readonly { readonly name: string; readonly generation: number }[];
    }
  | { readonly kind: "removeCertificate"; readonly name: string }
  /** The last step of destroy: CA and certificates are removed. */
  | { readonly kind: "removeAuthority" };

export type Step = {
  /** Stable within a plan, derived from the action: `startAgent:m1`. */
  readonly id: string;
  /** One line for people: `start agent m1`. */
  readonly title: string;
  readonly action: StepAction;
  /** Resources this step brings to their wanted (or absent) condition. */
  readonly addresses: readonly ResourceAddress[];
  /** Ids of steps that must be done before. */
  readonly after: readonly string[];
};
