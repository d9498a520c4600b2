/** CA and certificates: made when missing, reissued when the names they are for have changed. */
import { canonicalJson } from "../../base/canonical-json.ts";
import type { DesiredResource } from "../desired-resources.ts";
import type { ObservedCertificate } from "../observed-cluster.ts";
import type { PlanDraft } from "../plan-draft.ts";
import type { PlannerInput } from "../planner-input.ts";
import type { World } from "../world.ts";

/** Returns the id of the step that issues each certificate; names without a step have a valid one already. */
export function planCertificates(
  { observed }: PlannerInput,
  desired: readonly DesiredResource[],
  world: World,
  draft: PlanDraft,
): ReadonlyMap<string, string> {
  const issued = new Map<string, string>();
  const authority = desired.find((resource) => resource.type === "haplan_ca");
  let authorityStep: string | null = null;
  if (authority !== undefined && observed.authority === null) {
    draft.judge(authority.address, "create");
    authorityStep = draft.add({ kind: "createAuthority" }, [authority.address]);
  }
  const found = new Map(observed.certificates.map((certificate) => [certificate.name, certificate]));
  for (const resource of desired) {
    if (resource.type !== "haplan_certificate") continue;
    const reason = whyIssue(resource, found.get(resource.name), world);
    if (reason === null) continue;
    draft.judge(resource.address, reason.action, reason.text);
    const step = draft.add(
      {
        kind: "issueCertificate",
        name: resource.name,
        profile: resource.attributes["profile"] === "member" ? "member" : "client",
        commonName: String(resource.attributes["commonName"]),
        subjectAltNames: resource.attributes["subjectAltNames"] as readonly string[],
      },
      [resource.address],
      [authorityStep],
    );
    issued.set(resource.name, step);
  }
  return issued;
}

function whyIssue(
  resource: DesiredResource,
  found: ObservedCertificate | undefined,
  world: World,
): { action: "create" | "update"; text: string | null } | null {
  if (found === undefined) {
    return { action: "create", text: world.resources.has(resource.address) ? "its files are gone" : null };
  }
  const wanted = [...(resource.attributes["subjectAltNames"] as readonly string[])].sort();
  if (canonicalJson(wanted) === canonicalJson([...found.subjectAltNames].sort())) return null;
  return { action: "update", text: "the names it is for have changed" };
}
