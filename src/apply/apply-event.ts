/**
 * Events of a running apply, in the order in which they happened, for a screen or for a program's stream. The engine
 * emits them and never prints; a view renders each as text or JSON. Durations are in milliseconds, measured by the
 * engine's clock.
 */
import type { ResourceAddress } from "../plan/resource.ts";
import type { Step } from "../plan/step.ts";

export type ApplyEvent =
  /** Before the first step: these machines get the programs that their units will run. Not sent where there are none to bring. */
  | { readonly kind: "preparing"; readonly machines: readonly string[] }
  /** The steps to run. `alreadyDone` are ids of steps that an interrupted apply of this plan completed. */
  | {
      readonly kind: "planned";
      readonly planId: string;
      readonly steps: readonly Step[];
      readonly alreadyDone: readonly string[];
    }
  | { readonly kind: "stepStarted"; readonly step: Step }
  /** Sent occasionally while a step runs. `detail` says what it waits for: `1200 entries behind`. */
  | {
      readonly kind: "stepProgress";
      readonly step: Step;
      readonly elapsedMs: number;
      readonly detail: string | null;
    }
  /** `adopted`: the object existed already, left by an interrupted run. `id` is the pid, member id, ... */
  | {
      readonly kind: "stepCompleted";
      readonly step: Step;
      readonly elapsedMs: number;
      readonly adopted: boolean;
      readonly id: string | null;
    }
  /** The step that ends the apply. `message` is one line; `detail` may have several, such as the end of a log. */
  | {
      readonly kind: "stepFailed";
      readonly step: Step;
      readonly elapsedMs: number;
      readonly code: string;
      readonly message: string;
      readonly detail: string | null;
    }
  /** The quorum was checked before a step that affects it. A gate that is not open stops the apply. */
  | {
      readonly kind: "quorumGate";
      readonly step: Step;
      readonly open: boolean;
      readonly voters: number;
      readonly healthyVoters: number;
      readonly quorum: number;
      /** Null without a working quorum, as in `QuorumRow`. */
      readonly canLose: number | null;
      readonly reason: string;
    }
  /** The current membership; names, sorted. `votersOutgoing` is empty unless a joint change is in progress. */
  | {
      readonly kind: "membershipChange";
      readonly step: Step;
      readonly voters: readonly string[];
      readonly votersOutgoing: readonly string[];
      readonly learners: readonly string[];
    }
  /** The step continues with a problem that is not an error. */
  | { readonly kind: "stepWarning"; readonly step: Step; readonly message: string }
  /** A client has waited for longer than the budget allows: no further step begins. `running` are the steps under way. */
  | {
      readonly kind: "writeGapSpent";
      readonly budgetMs: number;
      readonly gapMs: number;
      readonly running: readonly Step[];
    }
  /** Null: it could not be measured. `budgetSpent`: a client has waited for longer than the budget allows. */
  | {
      readonly kind: "writeAvailability";
      readonly availability: WriteAvailability | null;
      readonly budgetSpent: boolean;
    }
  /** Last event of a completed apply. */
  | { readonly kind: "applied"; readonly summary: ApplySummary };

/** Write availability through the load balancer during apply, measured by a probe that writes a counter. */
export type WriteAvailability = {
  readonly attempts: number;
  readonly failed: number;
  /** The error of the first failed write; null if none failed. */
  readonly firstFailure: string | null;
  /** The longest time that a client waited for the acknowledgment of a write, for the worst client. */
  readonly longestGapMs: number;
  /** How long some client had no write acknowledged after a failed one. */
  readonly unavailableMs: number;
  /** How long writes were attempted. */
  readonly measuredMs: number;
  /** Where the time went: steps in which a client waited, the longest wait first. */
  readonly steps: readonly StepGap[];
};

/** The longest time in one step that a client waited for the acknowledgment of one write. */
export type StepGap = { readonly id: string; readonly longestGapMs: number };

/** The counts of apply, as Terraform counts. */
export type ApplySummary = {
  readonly imported: number;
  readonly added: number;
  readonly changed: number;
  readonly destroyed: number;
  /** Resources that are not as wanted although the apply completed. */
  readonly degraded: readonly ResourceAddress[];
};

/** Receives events; must not throw. */
export type ApplyListener = (event: ApplyEvent) => void;
