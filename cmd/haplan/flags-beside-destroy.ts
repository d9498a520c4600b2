/** `plan -destroy` and `apply -destroy` are about all that there is, so that other wishes contradict them. */
import { type RefusalError, refuse } from "./refusal.ts";

export function besideDestroy(flag: "-refresh-only" | "-replace"): RefusalError {
  return refuse("cli/flags-with-destroy", `-destroy and ${flag} do not go together`, "Leave out one of them.");
}
