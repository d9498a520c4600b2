/** What the parts of the provider `aws` share. */
import type { Clock } from "../../base/clock.ts";
import { HaplanError } from "../../base/haplan-error.ts";
import type { ClusterSpec } from "../../spec/cluster-spec.ts";
import type { CurrentWaits } from "../current-waits.ts";
import type { ProviderLog } from "../machine-calls.ts";
import type { AwsClient } from "./aws-client.ts";
import { type Owner, parseTags, type Tag } from "./aws-names.ts";
import type { OwnLineage } from "./own-lineage.ts";

export type AwsContext = {
  readonly client: AwsClient;
  readonly spec: ClusterSpec;
  readonly clock: Clock;
  readonly log: ProviderLog;
  readonly waits: CurrentWaits;
  readonly own: OwnLineage;
};

export function ownerOf({ spec }: AwsContext, lineage: string): Owner {
  return { cluster: spec.name, lineage, extra: extraTags(spec) };
}

export function extraTags({ provider }: ClusterSpec): readonly Tag[] {
  return parseTags(provider["tags"] as readonly string[]);
}

export type Wait = {
  /** The machine or the load balancer whose call waits. */
  readonly subject: string;
  /** What is waited for, for the error and the log: `the instance of m1 to run`. */
  readonly what: string;
  readonly timeoutMs: number;
  readonly intervalMs?: number;
  readonly signal?: AbortSignal | undefined;
};

type Check<Value> = () => Promise<{ readonly done: Value } | { readonly waiting: string }>;

/**
 * Asks until `check` returns a value. It returns what it found otherwise, as `{ waiting }`, which the progress of the apply,
 * the log and the error have.
 * @throws HaplanError `aws/timed-out`
 */
export async function until<Value>(context: AwsContext, wait: Wait, check: Check<Value>): Promise<Value> {
  return await context.waits.during(wait.subject, (report) => poll(context, wait, report, check));
}

async function poll<Value>(
  { clock, log }: AwsContext,
  { what, timeoutMs, intervalMs = 3_000, signal }: Wait,
  report: (text: string) => void,
  check: Check<Value>,
): Promise<Value> {
  const deadlineMs = clock.monotonicMs() + timeoutMs;
  for (;;) {
    const found = await check();
    if ("done" in found) return found.done;
    log("aws wait", { for: what, found: found.waiting });
    report(`waiting for ${what}: ${found.waiting}`);
    if (clock.monotonicMs() + intervalMs > deadlineMs) {
      const advice = "Nothing is undone: apply again to go on";
      throw new HaplanError("aws/timed-out", `Waited ${timeoutMs / 1000} s for ${what}: ${found.waiting}\n${advice}`);
    }
    await clock.sleep(intervalMs, signal);
  }
}
