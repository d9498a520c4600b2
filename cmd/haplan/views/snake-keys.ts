/** JSON for other programs: all keys in snake case, as in Terraform's output. */
import { shownName } from "./attribute-names.ts";

/** `value` with each key such as `canLose` as `can_lose`; values are unchanged. */
export function snakeKeys(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(snakeKeys);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, entry]) => [shownName(name), snakeKeys(entry)]));
}
