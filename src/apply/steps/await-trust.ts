/** Waits until a member trusts the next certificate authority: it answers a client that has a certificate of it. */
import { HaplanError } from "../../base/haplan-error.ts";
import { clientUrl } from "../../units/addresses.ts";
import { pollIntervalMs, type StepContext } from "../step-context.ts";

/** The agent checks its files every second; a busy machine may take longer. */
const uptakeMs = 30_000;
/** Without a certificate to try: the agent has checked its files by then. */
const untriedMs = 2_000;

/** Waits for a fixed time if there is no next authority: one was dropped, or the operator has added one. */
export async function awaitTrust(context: StepContext, name: string): Promise<void> {
  const { plan, ports } = context;
  const master = plan.spec.controlPlane.masters.find((candidate) => candidate.name === name);
  const tls = await ports.authority.trialMaterial();
  if (master === undefined) return;
  if (tls === null) return ports.clock.sleep(untriedMs, context.signal);
  const url = clientUrl(plan.spec, master);
  const deadline = ports.clock.monotonicMs() + uptakeMs;
  while (!(await answers(context, url, tls))) {
    if (ports.clock.monotonicMs() >= deadline) {
      throw new HaplanError(
        "apply/authority-not-taken",
        `${name} does not trust the next certificate authority within ${uptakeMs / 1000} s: ${url} rejects a certificate of it. Its files are in place; apply again.`,
      );
    }
    context.detail(`${url} does not trust the next certificate authority yet`);
    await ports.clock.sleep(pollIntervalMs, context.signal);
  }
}

type Trial = NonNullable<Awaited<ReturnType<StepContext["ports"]["authority"]["trialMaterial"]>>>;

async function answers({ ports }: StepContext, url: string, tls: Trial): Promise<boolean> {
  const controlPlane = ports.connect({ endpoints: [url], tls });
  try {
    return (await controlPlane.observe()) !== null;
  } catch (error) {
    // A member that asks for a user has accepted the certificate.
    if (error instanceof HaplanError && error.code.startsWith("control-plane/")) return true;
    throw error;
  } finally {
    controlPlane.close();
  }
}
