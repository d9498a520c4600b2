/** Refuses a spec that leads to another place than the one that has the cluster, such as another region of a cloud. */
import type { State } from "../../src/plan/state.ts";
import type { OtherPlace } from "../../src/providers/provider.ts";
import { diagnosticsFrom } from "../../src/spec/diagnostics-from.ts";
import { findingAt } from "../../src/spec/finding.ts";
import { createSourceText } from "../../src/spec/source-text.ts";
import { readYaml } from "../../src/spec/yaml-document.ts";
import type { CliContext } from "./cli-context.ts";
import { RefusalError, refuse } from "./refusal.ts";
import type { Session } from "./session.ts";
import { readSpecSource, specLabel } from "./spec-source.ts";

/** Nothing of the cluster would be found there: it would be created again, or forgotten. @throws RefusalError */
export async function refuseOtherPlace(context: CliContext, session: Session, state: State | null): Promise<void> {
  const found = await session.provider.otherPlace?.(state?.resources ?? [], context.stop.signal);
  if (found == null) return;
  throw (await inSpec(context, session, found)) ?? refuse(found.code, found.summary, found.detail);
}

/** With its place in the spec; null if that is not in a file. */
async function inSpec(
  context: CliContext,
  { specPath }: Session,
  { setting, ...text }: OtherPlace,
): Promise<RefusalError | null> {
  if (specPath === null) return null;
  const source = await readSpecSource(context, specPath);
  if (!source.ok) return null;
  const { places } = readYaml(source.text, { ...context.environment, ...context.variables });
  const finding = findingAt(`/spec/provider/${setting}`, text);
  const file = createSourceText(specLabel(specPath), source.text);
  return new RefusalError(diagnosticsFrom("error", file, places, [finding]));
}
