/** etcd's `--feature-gates=Name=true,...`. Only one of its gates has an effect here; the log names the others. */
import { parseFlagValue, splitList } from "./flag-values.ts";
import { SettingsError } from "./read-settings.ts";

export type FeatureGates = ReadonlyMap<string, boolean>;

/** The same as `--initial-corrupt-check`; kubeadm's manifests use this form. */
export const initialCorruptCheckGate = "InitialCorruptCheck";

/** @throws SettingsError naming the gate that is neither true nor false. */
export function readFeatureGates(text: string): FeatureGates {
  const gates = new Map<string, boolean>();
  for (const piece of splitList(text)) {
    const [name = "", ...rest] = piece.split("=").map((part) => part.trim());
    const parsed = parseFlagValue("boolean", rest.join("="));
    if (name === "" || "expected" in parsed) {
      throw new SettingsError(
        `--feature-gates has "${piece}": expected NAME=true or NAME=false, for example ${initialCorruptCheckGate}=true`,
      );
    }
    gates.set(name, parsed.value as boolean);
  }
  return gates;
}

/** Warnings for the log. */
export function featureGateNotices(gates: FeatureGates): string[] {
  return [...gates.keys()]
    .filter((name) => name !== initialCorruptCheckGate)
    .map((name) => `--feature-gates: ${name} has no effect: there is no such gate`);
}
