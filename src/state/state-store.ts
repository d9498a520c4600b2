/**
 * Combines a backend with a passphrase: reads and writes states, encrypted if requested, and rejects states of another
 * cluster or older than the stored one.
 */
import { HaplanError } from "../base/haplan-error.ts";
import type { State } from "../plan/state.ts";
import { type Lock, noLock } from "./lock-holder.ts";
import { type Environment, Sealer, sealedContent, unseal } from "./sealed-text.ts";
import type { StateBackend, StoredText } from "./state-backend.ts";
import { parseState, renderState } from "./state-document.ts";

export type StateStore = {
  /** Null if there is none yet. @throws HaplanError if the stored text is not a valid state */
  read(): Promise<State | null>;
  /**
   * Stores `state`. Writing an equal state does nothing.
   * @throws HaplanError `state/conflict` if the stored state is another cluster's, or newer than `state`
   */
  write(state: State): Promise<void>;
  /**
   * Overwrites the stored text, damaged or not, unless another run writes at the same time. For `state push -force`.
   */
  overwrite(state: State): Promise<void>;
  /** Removes the state and its backup. */
  remove(): Promise<void>;
};

export type StateStoreOptions = {
  readonly backend: StateBackend;
  /** How to encrypt on write; null writes plaintext. Encrypted texts are decrypted in either case. */
  readonly encryption: { readonly passphraseEnv: string } | null;
  readonly environment: Environment;
  /** Called before each change. */
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
    // A plaintext backup is not kept once encryption is on.
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
    new HaplanError(
      "state/conflict",
      `The state has changed since it was read\n${place}: ${reason}. Nothing was overwritten.`,
    );
  if (before.lineage !== state.lineage) throw conflict(`it has lineage ${before.lineage}, not ${state.lineage}`);
  if (before.serial < state.serial) return;
  const serials = `its serial is ${before.serial}, the serial to be written ${state.serial}`;
  throw conflict(`${serials}; another run has written it`);
}
