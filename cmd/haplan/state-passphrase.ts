/** The passphrase of an encrypted state: what will need it says so before anything is planned or asked. */
import type { Diagnostic } from "../../src/base/diagnostic.ts";
import type { HaplanError } from "../../src/base/haplan-error.ts";
import type { ClusterSpec } from "../../src/spec/cluster-spec.ts";
import { passphraseError } from "../../src/state/sealed-text.ts";
import type { CliContext } from "./cli-context.ts";

type Environment = Pick<CliContext, "environment">;
type StateOf = Pick<ClusterSpec, "state">;

/** @throws HaplanError if the state or a saved plan cannot be encrypted as the spec requires */
export function assertPassphrase({ environment }: Environment, spec: StateOf): void {
  const error = errorFor(environment, spec);
  if (error !== null) throw error;
}

/** For a plan that is only shown: a cluster without a state has nothing to decrypt. */
export function passphraseWarnings({ environment }: Environment, spec: StateOf): readonly Diagnostic[] {
  const error = errorFor(environment, spec);
  if (error === null) return [];
  const [summary = "", ...lines] = error.message.split("\n");
  const detail = `${lines.join("\n").replace(" Nothing was changed.", "")} plan -out and apply refuse without it.`;
  return [{ severity: "warning", code: error.code, summary, detail }];
}

function errorFor(environment: CliContext["environment"], { state }: StateOf): HaplanError | null {
  return state.encryption === null ? null : passphraseError(state.encryption.passphraseEnv, environment);
}
