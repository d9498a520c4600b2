/** The targets of the load balancer: registered, deregistered, and what AWS says of their health. */
import { HaplanError } from "../../base/haplan-error.ts";
import type { BackendState } from "../../load-balancer/backend.ts";
import { loadBalancerName } from "../../units/load-balancer-unit.ts";
import { type AwsContext, until } from "./aws-context.ts";
import { type FoundTarget, type FoundTargetGroup, findTargets } from "./balancer-objects.ts";

const healthyTimeoutMs = 300_000;

type Target = Pick<FoundTarget, "address" | "port">;

export function targetText({ address, port }: Target): string {
  return `${address}:${port}`;
}

export function backendState(state: string): BackendState {
  if (state === "healthy") return "ready";
  if (state === "unhealthy" || state === "unavailable") return "dead";
  return state === "draining" ? "stopping" : "unchecked";
}

/** Registers what is missing, and deregisters what is not wanted. */
export async function ensureTargets(
  context: AwsContext,
  group: FoundTargetGroup,
  wanted: readonly Target[],
  signal?: AbortSignal,
): Promise<void> {
  const { client } = context;
  const found = await findTargets(context, group.arn, signal);
  const purpose = "change the targets of the load balancer";
  const missing = wanted.filter((target) => found.every((each) => targetText(each) !== targetText(target)));
  const extra = found.filter((target) => wanted.every((each) => targetText(each) !== targetText(target)));
  const describe = ({ address, port }: Target): { Id: string; Port: number } => ({ Id: address, Port: port });
  if (missing.length > 0) {
    const input = { TargetGroupArn: group.arn, Targets: missing.map(describe) };
    await client.call("RegisterTargets", input, { purpose, signal });
  }
  if (extra.length > 0) {
    const input = { TargetGroupArn: group.arn, Targets: extra.map(describe) };
    await client.call("DeregisterTargets", input, { purpose, signal });
  }
}

/** Waits until all targets are healthy. One that stays unhealthy is the affair of its member's own steps. */
export async function untilTargetsServe(
  context: AwsContext,
  group: FoundTargetGroup,
  wanted: readonly Target[],
  signal?: AbortSignal,
): Promise<void> {
  if (wanted.length === 0) return;
  let last: readonly FoundTarget[] = [];
  const wait = {
    subject: loadBalancerName,
    what: "the targets of the load balancer to be healthy",
    timeoutMs: healthyTimeoutMs,
    signal,
  };
  const check = async (): Promise<{ done: null } | { waiting: string }> => {
    last = await findTargets(context, group.arn, signal);
    const ill = last.filter(({ state }) => state !== "healthy");
    if (ill.length === 0 && last.length >= wanted.length) return { done: null };
    return { waiting: ill.map(({ address, state, reason }) => `${address} is ${state} (${reason})`).join(", ") };
  };
  try {
    await until(context, wait, check);
  } catch (error) {
    const isLate = error instanceof HaplanError && error.code === "aws/timed-out";
    if (!isLate || last.every(({ state }) => state !== "healthy")) throw error;
  }
}
