/** `haplan certs status` and `haplan certs rotate`: the certificates of a cluster. */
import { desiredResources } from "../../../src/plan/desired-resources.ts";
import { resourceAddress } from "../../../src/plan/resource.ts";
import { nearestName } from "../../../src/spec/nearest-name.ts";
import { requireApprover } from "../approve.ts";
import { certificateList } from "../certificate-list.ts";
import type { CliContext, ExitCode } from "../cli-context.ts";
import { makePlan, type PlanOptions } from "../make-plan.ts";
import { openCluster } from "../open-cluster.ts";
import { refuse } from "../refusal.ts";
import type { Session } from "../session.ts";
import { certificateListToJson, renderCertificateList } from "../views/certificate-list-view.ts";
import { type ApplyFlags, applyChanges } from "./apply.ts";
import { reportSavedPlan } from "./plan.ts";

export async function runCertsStatus(
  context: CliContext,
  specArgument: string | undefined,
  flags: { readonly json?: boolean; readonly stateOnly?: string },
): Promise<ExitCode> {
  const { terminal } = context;
  const session = await openCluster(context, { spec: specArgument, stateOnly: flags.stateOnly });
  const list = certificateList(session.spec, await session.authority.observe(), context.clock.now());
  terminal.print(
    flags.json ? JSON.stringify(certificateListToJson(list), null, 2) : renderCertificateList(list, terminal.paint),
  );
  return 0;
}

type RotateFlags = Omit<ApplyFlags, "replace" | "target" | "refreshOnly" | "destroy" | "stateOnly"> & {
  readonly spec?: string;
  readonly out?: string;
  readonly ca?: boolean;
  readonly dropOld?: boolean;
};

export async function runCertsRotate(
  context: CliContext,
  names: readonly string[],
  flags: RotateFlags,
): Promise<ExitCode> {
  if (flags.out === undefined) requireApprover(context, flags.spec, flags, "certs rotate");
  const session = await openCluster(context, { spec: flags.spec });
  const options = rotationOf(session, names, flags);
  if (flags.out === undefined) return applyChanges(context, session, options, flags);
  const planned: PlanOptions = { mode: "apply", ...options };
  await reportSavedPlan(context, session, await makePlan(context, session, planned), flags.out);
  return 0;
}

/** @throws RefusalError for names beside the authority */
function rotationOf(session: Session, names: readonly string[], flags: RotateFlags): Omit<PlanOptions, "mode"> {
  const { ca = false, dropOld = false } = flags;
  if (!ca && !dropOld) return { replace: addressesOf(session, names) };
  if (names.length === 0) return { replaceAuthority: ca, dropAuthority: dropOld };
  throw refuse(
    "cli/rotate-names",
    `${ca ? "-ca" : "-drop-old"} and the name ${names[0]} cannot be combined`,
    "-ca issues every certificate again. Omit the names, or the flag.",
  );
}

/** @throws RefusalError for a name that no certificate has */
function addressesOf({ spec, provider }: Session, names: readonly string[]): readonly string[] {
  const known = desiredResources(spec, provider.model)
    .filter(({ type }) => type === "haplan_certificate")
    .map(({ name }) => name);
  if (known.length === 0) {
    const why = spec.controlPlane.tls.enabled
      ? "Its members were adopted, and haplan does not have the key of their authority."
      : "TLS is off.";
    throw refuse("cli/no-certificates", `haplan issues no certificates for "${spec.name}"`, why);
  }
  for (const name of names) if (!known.includes(name)) throw unknownName(name, known);
  return (names.length === 0 ? known : [...new Set(names)]).map((name) => resourceAddress("haplan_certificate", name));
}

function unknownName(name: string, known: readonly string[]): Error {
  if (name === "ca") {
    return refuse(
      "cli/rotate-ca",
      "ca is the authority, not a certificate that it has issued",
      "Its own certificate is renewed by a plan before it expires. To replace it by an authority with another key, run:",
      [["certs", "rotate", "-ca"]],
    );
  }
  const near = nearestName(name, known);
  const hint = near === null ? "" : `Did you mean "${near}"? `;
  const detail = `${hint}The certificates are ${known.join(", ")}.`;
  return refuse("cli/unknown-certificate", `There is no certificate "${name}"`, detail);
}
