/**
 * The fault of the virtual address: keepalived of its holder is stopped, which says so to its peers; another load balancer takes the
 * address, and gives it back in the same way. A keepalived that is stopped starts again by itself, whatever becomes of haplan.
 */
import { errorText } from "../base/haplan-error.ts";
import { virtualAddressUnitName } from "../units/unit-definition.ts";
import { type DrillRequest, recoveryMs, untilNull } from "./drill-request.ts";
import { addressAtStake, type BalancerState, holderOf, inTheWayOf } from "./virtual-address.ts";

/** A holder that says that it leaves is succeeded within a second. */
const takeoverMs = 10_000;
/** Longer than the others may take; after that keepalived is started by its host. */
const stopMs = 20_000;

/** @returns what was wrong; null if the address was elsewhere and is back */
export async function failAddressOver(request: DrillRequest, holder: string): Promise<string | null> {
  const before = await readAddressStates(request);
  const atStake = addressAtStake(before);
  if (atStake !== null) return `not begun: ${atStake}`;
  if (holderOf(before) !== holder) return `not begun: ${holder} does not have the virtual address now`;
  const moved = await giveWay(request, [holder], (now) => {
    const next = holderOf(now);
    return next === null || next === holder
      ? `no other load balancer had the virtual address within ${takeoverMs / 1000} s`
      : null;
  });
  // Back, also where the run is to stop or the move has failed: it may have happened.
  return (await giveBack(request, holder)) ?? moved;
}

async function giveBack(request: DrillRequest, holder: string): Promise<string | null> {
  const unsettled = await untilSettled(request);
  const now = await readAddressStates(request);
  if (holderOf(now) === holder) return unsettled;
  // Without another one that could take it, nothing more is stopped.
  if (unsettled !== null) return unsettled;
  const failure = await giveWay(request, inTheWayOf(holder, now), (then) =>
    holderOf(then) === holder ? null : `${holder} did not get the virtual address back`,
  );
  return failure ?? (await untilSettled(request));
}

/** Stops keepalived on these, until `missing` is null, and starts it again. */
async function giveWay(
  request: DrillRequest,
  names: readonly string[],
  missing: (states: readonly BalancerState[]) => string | null,
): Promise<string | null> {
  const { provider, clock } = request;
  const stopped: string[] = [];
  let failure: string | null = null;
  try {
    for (const name of names) {
      stopped.push(name);
      await provider.disturbUnit(name, virtualAddressUnitName, { kind: "stop", forMs: stopMs });
    }
    failure = await untilNull(clock, takeoverMs, async () => missing(await readAddressStates(request)));
  } catch (error) {
    failure = errorText(error);
  }
  for (const name of stopped) {
    const notStarted = await provider
      .disturbUnit(name, virtualAddressUnitName, { kind: "resume" })
      .then(() => null, errorText);
    failure ??= notStarted;
  }
  return failure;
}

/** Until one has the address and all others could take it. */
async function untilSettled(request: DrillRequest): Promise<string | null> {
  return await untilNull(request.clock, recoveryMs, async () => addressAtStake(await readAddressStates(request)));
}

/** All at once. One that does not answer is unknown. */
export async function readAddressStates({
  loadBalancer,
  balancers,
}: Pick<DrillRequest, "loadBalancer" | "balancers">): Promise<readonly BalancerState[]> {
  return await Promise.all(
    balancers.map(async (name) => ({ name, state: await loadBalancer.virtualAddress(name).catch(() => null) })),
  );
}
