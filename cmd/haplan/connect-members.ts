/** A connection to the members of a session's cluster: those of the spec, and those that only the state knows. */
import type { ControlPlane } from "../../src/control-plane/control-plane.ts";
import { resolveKnownAddresses } from "../../src/plan/known-addresses.ts";
import type { State } from "../../src/plan/state.ts";
import { hasKnownAddress } from "../../src/spec/address-reference.ts";
import { clientUrl } from "../../src/units/addresses.ts";
import type { CliContext } from "./cli-context.ts";
import { refuse } from "./refusal.ts";
import { clientMaterial, type Session } from "./session.ts";

/** Closed when the run ends. @throws RefusalError if the cluster has TLS, and haplan no certificate for it */
export async function connectMembers(
  context: CliContext,
  session: Session,
  state: State | null,
): Promise<ControlPlane> {
  const tls = await clientMaterial(session);
  if (tls === null && session.spec.controlPlane.tls.enabled) {
    throw refuse(
      "cli/no-certificate",
      "haplan has no certificate for the members",
      "The files of the certificate authority are missing. Apply the spec first:",
      [["apply"]],
    );
  }
  const spec = resolveKnownAddresses(session.spec, state?.resources ?? []);
  const known = (state?.resources ?? [])
    .filter(({ type }) => type === "haplan_raft_member")
    .map(({ attributes }) => attributes["clientUrl"])
    .filter((url): url is string => typeof url === "string");
  const written = spec.controlPlane.masters.filter(hasKnownAddress).map((master) => clientUrl(spec, master));
  const controlPlane = session.dependencies.connect({ endpoints: [...new Set([...written, ...known])].sort(), tls });
  context.atEnd(async () => controlPlane.close());
  return controlPlane;
}
