/**
 * A backend and a passphrase put together: reads and writes states, sealed where that was asked for, and lets nothing
 * through that belongs to another cluster or is older than what is there.
 */
import { HaplanError } from "../base/haplan-error.ts";
import type { State } from "../plan/state.ts";
import { type Lock, noLock } from "./lock-holder.ts";
import { type Environment, Sealer, sealedContent, unseal } from "./sealed-text.ts";
import type { StateBackend, StoredText } from "./state-backend.ts";
import { parseState, renderState } from "./state-document.ts";

export type StateStore = {
  /** Null when there is none yet. @throws HaplanError when what is there cannot be understood */
  read(): Promise<State | null>;
  /**
   * Makes `state` the one that is kept. Writing the state that is there already does nothing.
   * @throws HaplanError `state/conflict` when what is there is another cluster's, or newer than `state`
   */
  write(state: State): Promise<void>;
  /** Writes whatever is there over, damaged or not, unless somebody else does so meanwhile. For `state push -force`. */
  overwrite(state: State): Promise<void>;
  /** Forgets the state and the one before it. */
  remove(): Promise<void>;
};

export type StateStoreOptions = {
  readonly backend: StateBackend;
  /** How to seal what is written; null leaves it in clear. What is sealed already is opened in either case. */
  readonly encryption: { readonly passphraseEnv: string } | null;
  readonly environment: Environment;
  /** Asked before each change. */
  readonly lock?: Lock;
};

export function createStateStore({ backend, encryption, environment, lock = noLock }: StateStoreOptions): StateStore {
  let sealer: Sealer | null = null;
  const sealed = (text: string): string => {
    if (encryption === null) return text;
    sealer ??= new Sealer(encryption.passphraseEnv, environment);
    return sealer.seal("state", text);
  };
  const opened = ({ text }: StoredText): string =>
    sealedContent(text) === null ? text : unseal(text, `the state ${backend.place}`, environment);
  const parsed = (text: string): State => parseState(text, backend.place, backend.advice);

  const replace = async (state: State, check: (before: string) => void): Promise<void> => {
    await lock.assertHeld();
    const text = renderState(state);
    const stored = await backend.read();
    const before = stored === null ? null : opened(stored);
    if (before === text) return;
    if (before !== null) check(before);
    // What was in clear before it was to be encrypted is not kept in clear.
    const backup =
      stored === null || before === null ? null : sealedContent(stored.text) ? stored.text : sealed(before);
    await backend.write({ text: sealed(text), expected: stored?.version ?? null, backup, fencing: lock.fencing });
  };

  return {
    read: async () => {
      const stored = await backend.read();
      return stored === null ? null : parsed(opened(stored));
    },
    write: (state) => replace(state, (before) => assertFollows(parsed(before), state, backend.place)),
    overwrite: (state) => replace(state, () => {}),
    remove: async () => {
      await lock.assertHeld();
      await backend.remove(lock.fencing);
    },
  };
}

function assertFollows(before: State, state: State, place: string): void {
  const conflict = (reason: string): HaplanError =>
    new HaplanError("state/conflict", `The state has moved meanwhile\n${place}: ${reason}. Nothing was written over.`);
  if (before.lineage !== state.lineage) throw conflict(`it has lineage ${before.lineage}, not ${state.lineage}`);
  if (before.serial < state.serial) return;
  const serials = `it has serial ${before.serial}, the one to be written ${state.serial}`;
  throw conflict(`${serials}; somebody else has written it meanwhile`);
}
