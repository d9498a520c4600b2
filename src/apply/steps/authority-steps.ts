/** CA and certificates. Secrets stay behind the port; only fingerprints and dates are returned. */
import type { ObservedAuthority, ObservedCertificate } from "../../plan/observed-cluster.ts";
import type { StepAction } from "../../plan/step.ts";
import type { StepOutputs } from "../state-edits.ts";
import type { StepContext } from "../step-context.ts";

type Of<Kind extends StepAction["kind"]> = StepAction & { readonly kind: Kind };

export async function createAuthority({ ports, plan }: StepContext): Promise<StepOutputs> {
  return authorityFacts(await ports.authority.createAuthority(`${plan.spec.name} haplan CA`));
}

export async function renewAuthority({ ports }: StepContext, action: Of<"renewAuthority">): Promise<StepOutputs> {
  return authorityFacts(await ports.authority.renewAuthority(action.replaces));
}

export async function addAuthority({ ports }: StepContext, action: Of<"addAuthority">): Promise<StepOutputs> {
  const { next } = await ports.authority.addAuthority(action.commonName);
  return next === undefined ? {} : { next: next.fingerprint };
}

export async function activateAuthority({ ports }: StepContext): Promise<StepOutputs> {
  return authorityFacts(await ports.authority.activateAuthority());
}

export async function dropAuthority({ ports }: StepContext): Promise<StepOutputs> {
  await ports.authority.dropAuthority();
  return {};
}

export async function issueCertificate({ ports }: StepContext, action: Of<"issueCertificate">): Promise<StepOutputs> {
  const { kind, ...request } = action;
  return factsOf(await ports.authority.issue(request));
}

export async function removeCertificate({ ports }: StepContext, action: Of<"removeCertificate">): Promise<StepOutputs> {
  await ports.authority.removeCertificate(action.name);
  return {};
}

export async function removeAuthority({ ports }: StepContext): Promise<StepOutputs> {
  await ports.authority.removeAuthority();
  return {};
}

function factsOf(certificate: Pick<ObservedCertificate, "fingerprint" | "notAfter">): StepOutputs {
  return { fingerprint: certificate.fingerprint, notAfter: certificate.notAfter };
}

/** Its name changes when another authority replaces it. */
function authorityFacts(authority: ObservedAuthority): StepOutputs {
  return { commonName: authority.commonName, ...factsOf(authority) };
}
