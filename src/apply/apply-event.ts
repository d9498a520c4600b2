/**
 * What apply tells while it works: facts, in the order in which they happened, for a person's screen or a program's
 * stream. The engine emits them and never prints; a view turns each into text or JSON. Durations are in milliseconds
 * and measured by the engine's clock.
 */
import type { ResourceAddress } from "../plan/resource.ts";
import type { Step } from "../plan/step.ts";

export type ApplyEvent =
  /** First event: what will be done. `alreadyDone` are ids of steps that an interrupted apply of this plan completed. */
  | {
      readonly kind: "planned";
      readonly planId: string;
      readonly steps: readonly Step[];
      readonly alreadyDone: readonly string[];
    }
  | { readonly kind: "stepStarted"; readonly step: Step }
  /** Sent now and then while a step is under way. `detail` says what it waits for: `1200 entries behind`. */
  | {
      readonly kind: "stepProgress";
      readonly step: Step;
      readonly elapsedMs: number;
      readonly detail: string | null;
    }
  /** `adopted`: what the step should make was already there, left by an interrupted run. `id` is the pid, member id, ... */
  | {
      readonly kind: "stepCompleted";
      readonly step: Step;
      readonly elapsedMs: number;
      readonly adopted: boolean;
      readonly id: string | null;
    }
  /** The step that ends the apply. `message` is one line; `detail` may hold several, such as the end of a log. */
  | {
      readonly kind: "stepFailed";
      readonly step: Step;
      readonly elapsedMs: number;
      readonly code: string;
      readonly message: string;
      readonly detail: string | null;
    }
  /** The quorum was looked at before a step that touches it. A gate that is not open stops the apply. */
  | {
      readonly kind: "quorumGate";
      readonly step: Step;
      readonly open: boolean;
      readonly voters: number;
      readonly healthyVoters: number;
      readonly quorum: number;
      /** Null while there is no working quorum, as in `QuorumRow`. */
      readonly canLose: number | null;
      readonly reason: string;
    }
  /** The membership is now this; names, sorted. `votersOutgoing` is empty unless a joint change is under way. */
  | {
      readonly kind: "membershipChange";
      readonly step: Step;
      readonly voters: readonly string[];
      readonly votersOutgoing: readonly string[];
      readonly learners: readonly string[];
    }
  /** The step goes on, and not quite as one would wish. */
  | { readonly kind: "stepWarning"; readonly step: Step; readonly message: string }
  /** Null: it could not be measured. */
  | { readonly kind: "writeAvailability"; readonly availability: WriteAvailability | null }
  /** Last event of an apply that went through to its end. */
  | { readonly kind: "applied"; readonly summary: ApplySummary };

/** How writing through the load balancer fared while apply was at work; measured by a probe that writes a counter. */
export type WriteAvailability = {
  readonly attempts: number;
  readonly failed: number;
  /** What the first write that failed was answered; null when none did. */
  readonly firstFailure: string | null;
  /** The longest time that a client waited for the acknowledgement of a write, as the client that fared worst. */
  readonly longestGapMs: number;
  /** How long some client had no write acknowledged after one that failed. */
  readonly unavailableMs: number;
  /** How long writes were tried. */
  readonly measuredMs: number;
};

/** What apply made, in Terraform's sense of the words. */
export type ApplySummary = {
  readonly imported: number;
  readonly added: number;
  readonly changed: number;
  readonly destroyed: number;
  /** Resources that are not as wanted although the apply went through. */
  readonly degraded: readonly ResourceAddress[];
};

/** Takes events; must not throw. */
export type ApplyListener = (event: ApplyEvent) => void;
