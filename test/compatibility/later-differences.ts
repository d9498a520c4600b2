/**
 * Which of the differences from etcd 3.4 also hold for later versions, and which hold only for those. Each is
 * described in docs/etcd-differences.md under its id.
 */
import type { JsonValue } from "@bufbuild/protobuf";
import type { Step } from "./conversation.ts";
import { type DifferenceId, differences } from "./differences.ts";
import type { EtcdVersion } from "./etcd-programs.ts";
import { b64 } from "./script-words.ts";

type LaterVersion = Exclude<EtcdVersion, "3.5">;
type Difference = { readonly id: string; readonly reconcile: (reply: JsonValue) => JsonValue };

/** The others are 3.4's: later versions respond as we do. */
export const holdLater: readonly DifferenceId[] = [
  "auth-holes-closed",
  "compacted-watch-forgotten",
  "hash-at-compaction",
  "hash-of-another-format",
  "long-names",
  "negative-watch-start",
  "newer-api",
  "permission-replaced",
  "rights-before-addresses",
  "status-of-another-store",
];
export const laterAlone: Readonly<Record<LaterVersion, readonly string[]>> = {
  "3.6": ["hash-of-no-revision", "first-problem", "stream-before-half-close"],
  "3.7": ["hash-of-no-revision", "first-problem", "stream-before-half-close", "keys-without-lease"],
};

/** Undefined where the replies have to be equal. */
export function laterDifference(step: Step, version: LaterVersion): Difference | undefined {
  const id = laterAlone[version].find((one) => isAbout[one]?.(step));
  if (id !== undefined) return { id, reconcile: () => "differs" };
  if (step.differs !== undefined) {
    return holdLater.includes(step.differs) ? { id: step.differs, reconcile: differences[step.differs] } : undefined;
  }
  return undefined;
}

const isAbout: Readonly<Record<string, (step: Step) => boolean>> = {
  "hash-of-no-revision": (step) =>
    step.kind === "call" &&
    step.method === "Maintenance/HashKV" &&
    step.differs === "hash-revision" &&
    JSON.stringify(step.body) === "{}",
  "stream-before-half-close": (step) =>
    step.kind === "stream" &&
    /^(Health\/Watch|Election\/Observe)$/.test(step.method) &&
    !step.actions.some((one) => "finish" in one),
  "keys-without-lease": (step) =>
    step.kind === "call" &&
    step.method === "KV/Range" &&
    typeof step.body === "object" &&
    step.body["keys_only"] === true,
  "first-problem": (step) =>
    step.kind === "call" && step.method === "KV/Txn" && `${JSON.stringify(step.body)}`.includes(b64("t/missing")),
};
