/** `plan -destroy` and `apply -destroy` cover all resources, so they contradict other planning options. */
import { type RefusalError, refuse } from "./refusal.ts";

export function besideDestroy(flag: "-refresh-only" | "-replace" | "-max-write-gap"): RefusalError {
  return refuse("cli/flags-with-destroy", `-destroy and ${flag} cannot be combined`, "Omit one of them.");
}
