/** Waits until a member presents its new certificate on both of its ports. */
import { HaplanError } from "../../base/haplan-error.ts";
import { clientUrl, peerUrl } from "../../units/addresses.ts";
import { peerCertificateName } from "../../units/peer-certificate.ts";
import { pollIntervalMs, type StepContext } from "../step-context.ts";
import { endedAgents, notHealthy } from "./await-steps.ts";

/** The agent checks its files every second; a busy machine may take longer. */
const uptakeMs = 30_000;

export async function awaitPresented(context: StepContext, name: string): Promise<void> {
  const { plan, ports } = context;
  const master = plan.spec.controlPlane.masters.find((candidate) => candidate.name === name);
  const { certificates } = await ports.authority.observe();
  const fingerprintOf = (certificate: string): string | undefined =>
    certificates.find((each) => each.name === certificate)?.fingerprint;
  const own = fingerprintOf(name);
  if (master === undefined || own === undefined) return;
  const tls = await ports.authority.clientMaterial();
  const waits: readonly (readonly [string, string])[] = [
    [clientUrl(plan.spec, master), own],
    [peerUrl(plan.spec, master), fingerprintOf(peerCertificateName(name)) ?? own],
  ];
  const deadline = ports.clock.monotonicMs() + uptakeMs;
  for (const [url, wanted] of waits) {
    for (;;) {
      const shown = await ports.askPresented(url, tls);
      if (shown?.fingerprint === wanted) break;
      const ended = shown === null ? await endedAgents(context, [name]) : [];
      if (ended.length > 0) throw await notHealthy(context, { missing: ended, ended });
      const what =
        shown === null ? "presents no certificate" : `presents the certificate that expires ${shown.notAfter}`;
      if (ports.clock.monotonicMs() >= deadline) throw notTaken(name, url, what);
      context.detail(`${url} still ${what}`);
      await ports.clock.sleep(pollIntervalMs, context.signal);
    }
  }
}

function notTaken(name: string, url: string, what: string): HaplanError {
  return new HaplanError(
    "apply/certificate-not-taken",
    `${name} has not reloaded its certificate within ${uptakeMs / 1000} s: ${url} ${what}. Its files are in place; apply again, which restarts it.`,
  );
}
